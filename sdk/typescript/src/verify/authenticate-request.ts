import { VerificationError } from "./verification-error.ts";
import {
  type AccessTokenDeps,
  type AccessTokenExpectation,
  type VerifiedAccessToken,
  verifyAccessToken,
} from "./verify-access-token.ts";
import { type DpopProofDeps, verifyDpopProof } from "./verify-dpop-proof.ts";

export type AuthenticateRequestDeps = AccessTokenDeps & DpopProofDeps;

/** The parts of an HTTP request that say who sends it. */
export interface PresentedRequest {
  readonly method: string;
  /** Absolute, under the name that clients know the server by. */
  readonly url: string;
  /** The `Authorization` header. */
  readonly authorization: string | undefined;
  /** The `DPoP` header. */
  readonly dpop: string | undefined;
}

/**
 * Verifies the access token of a request and that its sender holds the key that the token is bound to. Tokens that are
 * bound to no key, or to a certificate, are refused.
 *
 * @throws VerificationError; what `deps.keys` throws when it can't fetch keys passes.
 * @see RFC 9449, section 7.1
 */
export async function authenticateRequest(
  deps: AuthenticateRequestDeps,
  request: PresentedRequest,
  expected: AccessTokenExpectation & { readonly audience: string },
): Promise<VerifiedAccessToken> {
  const [scheme = "", token = "", ...more] = (request.authorization ?? "").split(" ");
  // A bound token under the Bearer scheme would be accepted without its proof.
  if (scheme.toLowerCase() !== "dpop" || token === "" || more.length > 0) {
    throw new VerificationError("proof_missing", "send the access token as `Authorization: DPoP <token>`");
  }
  if (request.dpop === undefined) throw new VerificationError("proof_missing", "the DPoP header is missing");
  const verified = await verifyAccessToken(deps, token, expected);
  if (verified.confirmation === undefined) {
    throw new VerificationError("confirmation_missing", "the token is bound to no key");
  }
  if (!("jkt" in verified.confirmation)) {
    throw new VerificationError(
      "confirmation_mismatch",
      "the token is bound to a certificate, not to a DPoP key",
    );
  }
  await verifyDpopProof(deps, {
    proof: request.dpop,
    method: request.method,
    url: request.url,
    accessToken: token,
    jkt: verified.confirmation.jkt,
  });
  return verified;
}
