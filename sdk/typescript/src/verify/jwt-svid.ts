import {
  base64url,
  decodeProtectedHeader,
  importJWK,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
  UnsecuredJWT,
} from "jose";
import { parseSpiffeId, pathOf, type SpiffeId, type TrustDomain, trustDomainOf } from "../model/spiffe-id.ts";
import type { JwtAuthority, TrustBundle } from "../model/trust-bundle.ts";
import { es256Signature } from "./es256-signature.ts";
import { VerificationError, verificationErrorOf } from "./verification-error.ts";
import type { VerifySignature } from "./x509-signature.ts";

export interface JwtSvidDeps {
  /** What verifies the SVIDs of a trust domain; undefined for one that is not trusted here. */
  readonly bundleOf: (trustDomain: TrustDomain) => TrustBundle | undefined | Promise<TrustBundle | undefined>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Default, and for algorithms other than ES256: WebCrypto. A machine with something quicker may bring it. */
  readonly verifySignature?: VerifySignature;
}

export interface JwtSvidExpectation {
  /** What the verifier is called; the SVID must name it, and may name others too. */
  readonly audience: string;
  /** How far the clocks may be apart; 5 unless told. */
  readonly leewaySeconds?: number;
}

/** Who a JWT-SVID was issued to. */
export interface VerifiedJwtSvid {
  readonly spiffeId: SpiffeId;
  readonly audience: readonly string[];
  /** Epoch seconds. */
  readonly expiresAtSeconds: number;
  /** All that was signed. */
  readonly claims: JWTPayload;
}

const tokenCharsMax = 16_384;
const audienceMax = 64;
const headerMembers = new Set(["alg", "kid", "typ"]);
const algorithms = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];

/**
 * Verifies a JWT-SVID by the bundle of the trust domain that its subject names, and by no other's: header, algorithm,
 * key, signature, audience and time, then the subject. An access token (`typ: at+jwt`) is none.
 *
 * @throws VerificationError with the first check that failed; what `deps.bundleOf` throws passes
 * @see JWT-SVID, sections 2 to 4
 */
export async function verifyJwtSvid(
  deps: JwtSvidDeps,
  token: string,
  expected: JwtSvidExpectation,
): Promise<VerifiedJwtSvid> {
  // A setting that somebody forgot to make must not let every audience in: the library would not ask for one.
  if (!expected.audience) throw new VerificationError("audience_mismatch", "no audience is expected");
  if (token.length > tokenCharsMax) throw new VerificationError("malformed", "the token is too long");
  const { alg, kid } = headerOf(token);
  const spiffeId = subjectOf(token);
  const bundle = await deps.bundleOf(trustDomainOf(spiffeId));
  if (bundle === undefined)
    throw new VerificationError("issuer_unknown", "the token is of a trust domain that is not trusted here");
  const authority = bundle.jwtAuthorities.find((one) => one.kid === kid);
  if (authority === undefined)
    throw new VerificationError("key_unknown", "the token's trust domain has published no such key");
  const payload = await verifiedPayload(deps, token, { authority, alg }, expected);
  const audience = [payload.aud ?? []].flat();
  if (audience.length > audienceMax || payload.exp === undefined)
    throw new VerificationError("claims_invalid", "the token's claims are not those of a JWT-SVID");
  return { spiffeId, audience, expiresAtSeconds: payload.exp, claims: payload };
}

function headerOf(token: string): { readonly alg: string; readonly kid: string } {
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    header = decodeProtectedHeader(token);
  } catch (error) {
    throw new VerificationError("malformed", "the token is not a signed JWT", error);
  }
  const { alg, kid, typ } = header;
  if (typ !== undefined && typ !== "JWT" && typ !== "JOSE")
    throw new VerificationError("type_not_accepted", "the token is of another type");
  if (alg === undefined || !algorithms.includes(alg))
    throw new VerificationError(
      "algorithm_not_accepted",
      "the token is signed by an algorithm that no SVID has",
    );
  if (Object.keys(header).some((member) => !headerMembers.has(member)))
    throw new VerificationError("malformed", "the token's header has a member that no SVID has");
  // Without it we would have to try key after key.
  if (typeof kid !== "string") throw new VerificationError("key_unknown", "the token does not name its key");
  return { alg, kid };
}

/** Whose it claims to be, to choose the bundle by: nothing is verified yet. */
function subjectOf(token: string): SpiffeId {
  const subject = claimedSubject(token);
  const spiffeId = typeof subject === "string" ? parseSpiffeId(subject) : undefined;
  if (spiffeId === undefined || pathOf(spiffeId) === "")
    throw new VerificationError("claims_invalid", "the token's subject is no SPIFFE ID with a path");
  return spiffeId;
}

function claimedSubject(token: string): unknown {
  try {
    const [, payload = ""] = token.split(".");
    const octets = base64url.decode(payload);
    const claims: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(octets));
    return typeof claims === "object" && claims !== null && "sub" in claims ? claims.sub : undefined;
  } catch (error) {
    throw new VerificationError("malformed", "the token is not a signed JWT", error);
  }
}

type Key = Awaited<ReturnType<typeof importJWK>>;
const imported = new WeakMap<JwtAuthority, Map<string, Promise<Key>>>();

/** Imports a key once for each algorithm that it is used with. */
async function keyOf(authority: JwtAuthority, alg: string): Promise<Key> {
  const known = imported.get(authority) ?? new Map<string, Promise<Key>>();
  imported.set(authority, known);
  const key = known.get(alg) ?? importJWK({ ...authority, alg }, alg);
  known.set(alg, key);
  try {
    return await key;
  } catch (error) {
    throw new VerificationError("algorithm_not_accepted", "the token's key is not for its algorithm", error);
  }
}

/** What a token's key is, and what it is used with. */
interface Signer {
  readonly authority: JwtAuthority;
  readonly alg: string;
}

async function verifiedPayload(
  deps: JwtSvidDeps,
  token: string,
  signer: Signer,
  { audience, leewaySeconds = 5 }: JwtSvidExpectation,
): Promise<JWTPayload> {
  const options = {
    algorithms,
    audience,
    clockTolerance: leewaySeconds,
    currentDate: new Date(deps.now()),
    requiredClaims: ["sub", "aud", "exp"],
  };
  try {
    return await payloadOf(deps, token, signer, options);
  } catch (error) {
    if (error instanceof TypeError)
      throw new VerificationError(
        "algorithm_not_accepted",
        "the token's key is not for its algorithm",
        error,
      );
    throw verificationErrorOf(error, "token");
  }
}

async function payloadOf(
  { verifySignature }: JwtSvidDeps,
  token: string,
  { authority, alg }: Signer,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  const signed = verifySignature && es256Signature(token, alg, authority);
  if (verifySignature === undefined || signed === undefined)
    return (await jwtVerify(token, await keyOf(authority, alg), options)).payload;
  if (!(await verifySignature(signed)))
    throw new VerificationError("signature_invalid", "the token's signature is not its signer's");
  // The claims go through the same checks; the header went through ours, which are narrower.
  const [, payload] = token.split(".");
  return UnsecuredJWT.decode(`${unsignedHeader}.${payload}.`, options).payload;
}

const unsignedHeader = base64url.encode('{"alg":"none"}');
