import type { AccessTokenClaims } from "../contract/access-token.ts";
import { VerificationError } from "./verification-error.ts";
import {
  type AccessTokenDeps,
  type AccessTokenExpectation,
  type VerifiedAccessToken,
  verifyAccessToken,
} from "./verify-access-token.ts";
import { type DpopProofDeps, verifyDpopProof } from "./verify-dpop-proof.ts";

export interface AuthenticateRequestDeps extends AccessTokenDeps, DpopProofDeps {
  /** Whether the proofs of this token's client must bear a nonce of ours; absent: of nobody's. */
  needsNonce?(claims: AccessTokenClaims): boolean | Promise<boolean>;
}

/** The parts of an HTTP request that say who sends it. */
export interface PresentedRequest {
  readonly method: string;
  /** Absolute, under the name that clients know the server by. */
  readonly url: string;
  /** The `Authorization` header. */
  readonly authorization: string | undefined;
  /** The `DPoP` header. */
  readonly dpop: string | undefined;
  /**
   * SHA-256 of the DER of the certificate whose key the client proved to hold in the TLS handshake, base64url: never one
   * that a stranger merely sent in a header.
   */
  readonly certificate?: string | undefined;
}

/**
 * Verifies the access token of a request and that its sender holds the key that the token is bound to: by DPoP proof, or
 * by the certificate of its connection. Tokens that are bound to no key are refused.
 *
 * @throws VerificationError; what `deps.keys` throws when it can't fetch keys passes.
 * @see RFC 9449, section 7.1; RFC 8705, section 3
 */
export function authenticateRequest(
  deps: AuthenticateRequestDeps,
  request: PresentedRequest,
  expected: AccessTokenExpectation & { readonly audience: string },
): Promise<VerifiedAccessToken> {
  return authenticate(deps, request, expected);
}

/** A verified access token as its holder presented it. */
export interface HeldAccessToken extends VerifiedAccessToken {
  readonly accessToken: string;
}

/**
 * Like authenticateRequest, for tokens of whichever audience: for the issuer alone, which is asked about a token that
 * is for somebody else. What comes of it is no leave to do anything.
 *
 * @throws VerificationError; what `deps.keys` throws when it can't fetch keys passes.
 */
export function authenticateHolder(
  deps: AuthenticateRequestDeps,
  request: PresentedRequest,
  expected: Pick<AccessTokenExpectation, "issuer">,
): Promise<HeldAccessToken> {
  return authenticate(deps, request, { issuer: expected.issuer });
}

async function authenticate(
  deps: AuthenticateRequestDeps,
  request: PresentedRequest,
  expected: AccessTokenExpectation,
): Promise<HeldAccessToken> {
  const { certificate, dpop } = request;
  const [scheme = "", token = "", ...more] = (request.authorization ?? "").split(" ");
  const isDpop = scheme.toLowerCase() === "dpop";
  // A bound token under the Bearer scheme would be accepted without its proof: there the certificate is the proof.
  const isByCertificate = scheme.toLowerCase() === "bearer" && certificate !== undefined;
  if (!(isDpop || isByCertificate) || token === "" || more.length > 0) {
    throw new VerificationError("proof_missing", "send the access token as `Authorization: DPoP <token>`");
  }
  if (isDpop && dpop === undefined)
    throw new VerificationError("proof_missing", "the DPoP header is missing");
  const verified = await verifyAccessToken(deps, token, expected);
  const { confirmation } = verified;
  if (confirmation === undefined) {
    throw new VerificationError("confirmation_missing", "the token is bound to no key");
  }
  if ("jkt" in confirmation && isDpop && dpop !== undefined) {
    const nonceRequired = (await deps.needsNonce?.(verified.claims)) ?? false;
    const { method, url } = request;
    const { jkt } = confirmation;
    await verifyDpopProof(deps, { proof: dpop, method, url, accessToken: token, jkt, nonceRequired });
    return { ...verified, accessToken: token };
  }
  if ("x5t#S256" in confirmation && isByCertificate && confirmation["x5t#S256"] === certificate)
    return { ...verified, accessToken: token };
  throw new VerificationError(
    "confirmation_mismatch",
    "the token is bound to another key, or in another way",
  );
}
