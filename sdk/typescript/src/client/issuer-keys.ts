import { createRemoteJWKSet, type JWTVerifyGetKey } from "jose";

/**
 * The public keys of an issuer, fetched when first needed, kept ten minutes, and fetched again for a `kid` that is not
 * known yet, though no sooner than 30 s after the last time: a forged `kid` can't make a verifier flood the issuer.
 */
export function issuerKeys(issuer: string): JWTVerifyGetKey {
  return createRemoteJWKSet(new URL(`${issuer}/jwks`), {
    timeoutDuration: 5_000,
    cooldownDuration: 30_000,
    cacheMaxAge: 600_000,
  });
}
