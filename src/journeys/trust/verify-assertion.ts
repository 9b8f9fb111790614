import type { OrganizationId } from "@countersign/sdk/model/ids";
import { signedPartHash } from "@countersign/sdk/verify/signed-part";
import { VerificationError, verificationErrorOf } from "@countersign/sdk/verify/verification-error";
import {
  type CryptoKey,
  decodeJwt,
  decodeProtectedHeader,
  type JWTPayload,
  jwtVerify,
  type ProtectedHeaderParameters,
} from "jose";
import {
  soleAudienceOf,
  type TrustedIssuer,
  type TrustedIssuerKind,
  type TrustQuery,
  trustFor,
} from "../../domain/trusted-issuer.ts";
import type { IssuerKeys } from "./issuer-keys.ts";

export interface VerifyAssertionDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly listTrustsIn: (query: TrustQuery) => Promise<readonly TrustedIssuer[]>;
  readonly issuerKeys: IssuerKeys;
}

/** What an assertion has to be, and whose trust it may rest on. */
export interface ExpectedAssertion {
  readonly kind: TrustedIssuerKind;
  /** Undefined: whosever tenant it names. */
  readonly organization?: OrganizationId;
}

/** What a trusted issuer says, and whom for. */
export interface VerifiedAssertion {
  readonly trust: TrustedIssuer;
  readonly subject: string;
  readonly claims: JWTPayload;
  /** RFC 7638 thumbprint of the key whose holder alone it is for, where it says so. */
  readonly boundTo: string | undefined;
  /** SHA-256 of what was signed, base64url. */
  readonly hash: string;
  /** When it is no longer accepted. */
  readonly expiresAt: Date;
}

const assertionCharsMax = 8_192;
const subjectCharsMax = 512;
const kidCharsMax = 256;
const jtiCharsMax = 256;
/** Seconds by which another's clock may be off. */
const toleranceSeconds = 15;

/**
 * Verifies an assertion by the one trust that its issuer, its audience and its tenant claim fall under: type, algorithm and
 * time, then its signature.
 *
 * @throws VerificationError with the first check that failed; KeysUnreachable
 * @see RFC 7523, section 3; RFC 8725, sections 3.1, 3.8, 3.9 and 3.11; draft-ietf-oauth-identity-assertion-authz-grant, section 3
 */
export async function verifyAssertion(
  deps: VerifyAssertionDeps,
  assertion: string,
  expected: ExpectedAssertion,
): Promise<VerifiedAssertion> {
  const { kind } = expected;
  const { header, claimed } = decoded(assertion);
  const { alg, kid } = demandHeader(header, kind);
  const trust = await trustOf(deps, claimed, expected);
  if (trust === undefined)
    throw new VerificationError(
      "issuer_unknown",
      "nobody here trusts this issuer for this aud and this tenant",
    );
  if (!trust.algorithms.some((one) => one === alg))
    throw new VerificationError(
      "algorithm_not_accepted",
      "the assertion's algorithm is not one of its trust",
    );
  // What can be judged without asking the issuer for its keys is judged first.
  const expiresAtSeconds = demandTimes(trust, claimed, deps.now() / 1000);
  const key = await deps.issuerKeys.keyOf(trust, kid, alg);
  if (key === undefined) throw new VerificationError("key_unknown", "its issuer has published no such key");
  const claims = await verifiedClaims(deps, assertion, { alg, key, issuer: trust.issuer });
  const subject = demandSubject(claims);
  if (kind === "id_jag" && claims.jti === undefined)
    throw new VerificationError("claims_invalid", "the assertion has no jti");
  return {
    trust,
    subject,
    claims,
    boundTo: boundKeyIn(claims),
    hash: signedPartHash(assertion),
    expiresAt: new Date(expiresAtSeconds * 1000),
  };
}

/** @throws VerificationError for claims that are no texts */
async function trustOf(
  deps: VerifyAssertionDeps,
  claimed: JWTPayload,
  { kind, organization }: ExpectedAssertion,
): Promise<TrustedIssuer | undefined> {
  const { iss: issuer } = claimed;
  if (typeof issuer !== "string" || !isPlain(issuer))
    throw new VerificationError("claims_invalid", "the assertion has no iss");
  const audience = soleAudienceOf(claimed);
  if (audience === undefined || !isPlain(audience)) return undefined;
  return trustFor(await deps.listTrustsIn({ kind, issuer, audience, organization }), claimed);
}

function decoded(assertion: string): { header: ProtectedHeaderParameters; claimed: JWTPayload } {
  if (assertion.length > assertionCharsMax)
    throw new VerificationError("malformed", "the assertion is too long");
  try {
    return { header: decodeProtectedHeader(assertion), claimed: decodeJwt(assertion) };
  } catch (error) {
    throw new VerificationError("malformed", "the assertion is not a signed JWT", error);
  }
}

/** An access token or a proof is a JWT too, and what a platform says of a workload must never pass for one's word of a person. */
const typesOf: Readonly<Record<TrustedIssuerKind, readonly (string | undefined)[]>> = {
  workload: [undefined, "jwt"],
  id_jag: ["oauth-id-jag+jwt"],
};

function demandHeader(
  { typ, alg, kid, crit }: ProtectedHeaderParameters,
  kind: TrustedIssuerKind,
): { alg: string; kid: string } {
  if (!typesOf[kind].includes(typ?.toLowerCase()))
    throw new VerificationError("type_not_accepted", "the assertion is of another type");
  if (crit !== undefined)
    throw new VerificationError("malformed", "the assertion has a crit that is not known");
  if (typeof alg !== "string")
    throw new VerificationError("algorithm_not_accepted", "the assertion does not name its algorithm");
  if (typeof kid !== "string" || kid.length > kidCharsMax)
    throw new VerificationError("key_unknown", "the assertion does not name its key");
  return { alg, kid };
}

/** @returns when it is no longer accepted, in epoch seconds */
function demandTimes({ maxAgeSeconds }: TrustedIssuer, claims: JWTPayload, nowSeconds: number): number {
  const { exp, iat, nbf } = claims;
  if (!isTime(exp) || !isTime(iat) || (nbf !== undefined && !isTime(nbf)))
    throw new VerificationError("claims_invalid", "the assertion has no exp and iat that are times");
  const untilSeconds = Math.min(exp, iat + maxAgeSeconds) + toleranceSeconds;
  if (untilSeconds <= nowSeconds)
    throw new VerificationError("expired", "the assertion has expired, or is too old");
  if (Math.max(iat, nbf ?? iat) > nowSeconds + toleranceSeconds)
    throw new VerificationError("not_yet_valid", "the assertion is not valid yet");
  return untilSeconds;
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && value > 0 && value < 253_402_300_800;
}

async function verifiedClaims(
  deps: VerifyAssertionDeps,
  assertion: string,
  { alg, key, issuer }: { readonly alg: string; readonly key: CryptoKey; readonly issuer: string },
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(assertion, key, {
      algorithms: [alg],
      issuer,
      clockTolerance: toleranceSeconds,
      currentDate: new Date(deps.now()),
      requiredClaims: ["sub", "aud", "exp", "iat"],
    });
    return payload;
  } catch (error) {
    if (error instanceof TypeError)
      throw new VerificationError(
        "algorithm_not_accepted",
        "the key is not for the assertion's algorithm",
        error,
      );
    throw verificationErrorOf(error, "token");
  }
}

/**
 * The key that an assertion is bound to. A binding that can't be looked at must not be taken for none.
 *
 * @see RFC 7800, section 3.1; RFC 9449, section 6.1
 */
function boundKeyIn({ cnf }: JWTPayload): string | undefined {
  if (cnf === undefined) return undefined;
  const members = typeof cnf === "object" && cnf !== null ? Object.entries(cnf) : [];
  const [[name, jkt] = [], ...more] = members;
  if (name !== "jkt" || more.length > 0 || typeof jkt !== "string" || !/^[\w-]{43}$/.test(jkt))
    throw new VerificationError("claims_invalid", "the assertion's cnf is not a jkt alone");
  return jkt;
}

function demandSubject({ sub, jti }: JWTPayload): string {
  const isFit = typeof sub === "string" && sub !== "" && sub.length <= subjectCharsMax && isPlain(sub);
  if (!isFit) throw new VerificationError("claims_invalid", "the assertion's sub is no plain text");
  if (jti !== undefined && (typeof jti !== "string" || jti.length > jtiCharsMax))
    throw new VerificationError("claims_invalid", "the assertion's jti is too long");
  return sub;
}

/** Control characters would forge lines, and what turns text around would let one subject be read as another. */
function isPlain(text: string): boolean {
  return text.isWellFormed() && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text);
}
