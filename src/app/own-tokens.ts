import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { verifyAccessToken } from "@countersign/sdk/verify/verify-access-token";
import { createLocalJWKSet, type JWTVerifyGetKey } from "jose";
import type { KeyRing } from "../keys/key-ring.ts";

/** The public keys of this server's tokens, as verifiers take them; they follow the key ring. */
export function ownTokenKeys(keys: KeyRing): JWTVerifyGetKey {
  const read = () => createLocalJWKSet({ keys: keys.tokenKeys().published.map((jwk) => ({ ...jwk })) });
  let current = read();
  keys.onChange(() => {
    current = read();
  });
  return (header, token) => current(header, token);
}

/**
 * The claims of an access token that this server signed and that has not expired, for whichever audience; undefined
 * for anything else. Whether it still carries authority is another question.
 */
export async function verifyOwnToken(
  keys: JWTVerifyGetKey,
  issuer: string,
  token: string,
): Promise<AccessTokenClaims | undefined> {
  try {
    return (await verifyAccessToken({ keys, now: Date.now }, token, { issuer, leewaySeconds: 0 })).claims;
  } catch (error) {
    if (error instanceof VerificationError) return undefined;
    throw error;
  }
}
