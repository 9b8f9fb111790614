/**
 * What a signing key is for: access tokens and whatever else the issuer states, the checkpoints of one log, JWT-SVIDs, or
 * the certificates of X.509-SVIDs. A key signs for one purpose.
 */
export type KeyPurpose = "token" | "log" | "jwt_authority" | "x509_authority";

/**
 * `next` is known to verifiers and signs nothing yet; `retired` signs nothing more, and what it signed is good. An authority
 * of the trust domain may be `tainted`: what it signed is given out no more, though it can still be verified; and then
 * `withdrawn` from the trust bundle.
 */
export type KeyStatus = "next" | "active" | "retired" | "tainted" | "withdrawn";
