/** How often to look for a new trust bundle. */
export const bundleRefreshSeconds = 300;

/** How long an X.509 authority is in the bundle before it signs: who looks that often knows it, though one look failed. */
const authorityKnownAfterMs = 2 * bundleRefreshSeconds * 1000;

/** Whether whoever looks for our bundle as often as it says knows an authority that is in it since then. */
export function isKnownAuthority(certifiedAtMs: number | undefined, nowMs: number): boolean {
  return certifiedAtMs !== undefined && certifiedAtMs + authorityKnownAfterMs <= nowMs;
}

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
