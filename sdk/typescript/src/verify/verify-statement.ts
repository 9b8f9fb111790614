import { type JWTPayload, type JWTVerifyGetKey, jwtVerify, type ProtectedHeaderParameters } from "jose";
import { z } from "zod";
import { claimsHash } from "../contract/claims-hash.ts";
import type { Sha256 } from "../tlog/rfc6962.ts";
import { VerificationError, verificationErrorOf } from "./verification-error.ts";

export interface StatementDeps {
  /** The registered keys of whoever is said to have signed it, each by its thumbprint as `kid`. */
  readonly keys: JWTVerifyGetKey;
  /** Milliseconds since the epoch. */
  now(): number;
  readonly sha256?: Sha256;
}

export interface StatementExpectation<Claims> {
  /** What it is called in errors, `report`. */
  readonly name: string;
  /** What its `typ` header says: no kind of statement is ever taken for another. */
  readonly type: string;
  readonly claims: z.ZodType<Claims>;
  /** The issuer that it was made for. */
  readonly issuer: string;
  /** The client id of whoever must have signed it. */
  readonly signer: string;
  readonly charsMax: number;
  /** How long it may be sent after it was signed, as `30 days`. */
  readonly maxAge: string;
}

export interface VerifiedStatement<Claims> {
  readonly claims: Claims;
  /** SHA-256 of the canonical claims, base64url. */
  readonly claimsHash: string;
  /** Names the key that signed it. */
  readonly kid: string;
}

const leewaySeconds = 5;

/**
 * Verifies what a principal signed with its own key: type, algorithm, signature, signer and audience before any other
 * claim is read.
 *
 * @throws VerificationError with the first check that failed; what `deps.keys` throws when it can't fetch keys passes.
 * @see RFC 8725, sections 3.1, 3.8, 3.9 and 3.11
 */
export async function verifyStatement<Claims>(
  deps: StatementDeps,
  statement: string,
  expected: StatementExpectation<Claims>,
): Promise<VerifiedStatement<Claims>> {
  const { name, charsMax } = expected;
  if (statement.length > charsMax) throw new VerificationError("malformed", `the ${name} is too long`);
  const { payload, protectedHeader } = await verified(deps, statement, expected);
  const header = z
    .strictObject({
      alg: z.literal("ES256"),
      typ: z.literal(expected.type),
      kid: z.string().max(128),
    })
    .safeParse(protectedHeader);
  // A member of the header that nobody checks is a place to put what is not meant to be kept.
  if (!header.success) {
    throw new VerificationError("malformed", `the ${name}'s header has alg, typ and kid, and nothing else`);
  }
  const parsed = expected.claims.safeParse(payload);
  if (!parsed.success) {
    throw new VerificationError("claims_invalid", `the ${name}'s claims are malformed`, parsed.error);
  }
  return { claims: parsed.data, claimsHash: claimsHash(payload, deps.sha256), kid: header.data.kid };
}

async function verified(
  deps: StatementDeps,
  statement: string,
  { name, type, issuer, signer, maxAge }: Omit<StatementExpectation<unknown>, "claims">,
): Promise<{ payload: JWTPayload; protectedHeader: ProtectedHeaderParameters }> {
  try {
    return await jwtVerify(statement, deps.keys, {
      typ: type,
      algorithms: ["ES256"],
      issuer: signer,
      subject: signer,
      audience: issuer,
      clockTolerance: leewaySeconds,
      currentDate: new Date(deps.now()),
      // An `iat` that lies ahead is refused only when an age is asked for.
      maxTokenAge: maxAge,
      requiredClaims: ["iat", "jti"],
    });
  } catch (error) {
    throw verificationErrorOf(error, name);
  }
}
