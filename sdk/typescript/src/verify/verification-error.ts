import { errors } from "jose";

/** Why a token or a proof was not accepted; one code a check. */
export type VerificationCode =
  | "malformed"
  | "type_not_accepted"
  | "algorithm_not_accepted"
  | "key_unknown"
  | "signature_invalid"
  | "issuer_unknown"
  | "audience_mismatch"
  | "expired"
  | "not_yet_valid"
  | "claims_invalid"
  | "chain_invalid"
  | "confirmation_missing"
  | "confirmation_mismatch"
  | "proof_missing"
  | "proof_malformed"
  | "proof_mismatch"
  | "proof_stale"
  | "proof_nonce_expected"
  | "proof_replayed"
  | "entry_unproven"
  | "entry_unreadable"
  | "entry_mismatch"
  | "reach_mismatch";

/** A token or proof that is not to be trusted. The message names the check that failed, never the token. */
export class VerificationError extends Error {
  override readonly name = "VerificationError";
  readonly code: VerificationCode;

  constructor(code: VerificationCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/**
 * What a failure of jose to verify a JWT means. Anything else (no network, no key set) is not the JWT's fault and stays
 * as it is.
 *
 * @param what is verified, as messages name it
 */
export function verificationErrorOf(error: unknown, what: string): unknown {
  if (error instanceof errors.JWTExpired)
    return new VerificationError("expired", `the ${what} has expired`, error);
  if (error instanceof errors.JWTClaimValidationFailed) return claimErrorOf(error, what);
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported) {
    return new VerificationError("algorithm_not_accepted", `the ${what} is not signed with ES256`, error);
  }
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
    return new VerificationError("key_unknown", "its signer has published no such key", error);
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return new VerificationError("signature_invalid", `the ${what}'s signature is not its signer's`, error);
  }
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) {
    return new VerificationError("malformed", `the ${what} is not a signed JWT`, error);
  }
  return error;
}

function claimErrorOf(error: errors.JWTClaimValidationFailed, what: string): VerificationError {
  if (error.claim === "aud" && error.reason !== "missing") {
    return new VerificationError("audience_mismatch", `the ${what} is meant for another audience`, error);
  }
  switch (error.claim) {
    case "typ":
      return new VerificationError("type_not_accepted", `the ${what} is of another type`, error);
    case "iss":
    case "sub":
      return new VerificationError("issuer_unknown", `another made the ${what}`, error);
    case "nbf":
    case "iat":
      return new VerificationError("not_yet_valid", `the ${what} is not valid yet`, error);
    default:
      return new VerificationError("claims_invalid", `the ${what} lacks a claim that it must have`, error);
  }
}
