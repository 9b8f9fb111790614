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
  | "entry_mismatch";

/** A token or proof that is not to be trusted. The message names the check that failed, never the token. */
export class VerificationError extends Error {
  override readonly name = "VerificationError";
  readonly code: VerificationCode;

  constructor(code: VerificationCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}
