import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { createVerifiedTokens } from "@countersign/sdk/verify/verified-tokens";
import { type AccessTokenDeps, verifyAccessToken } from "@countersign/sdk/verify/verify-access-token";
import { createLocalJWKSet } from "jose";
import type { KeyRing } from "../keys/key-ring.ts";
import type { JwtKeys } from "../keys/key-snapshot.ts";

/** What it takes to verify this server's tokens as any stranger would. */
export type OwnTokens = Required<AccessTokenDeps>;

/** The part of the key ring that verifiers see. */
type PublishedKeys = Pick<KeyRing, "onChange"> & { tokenKeys(): Pick<JwtKeys, "published"> };

const verifiedTokens = { tokenCharsMax: 4_096, tokensMax: 1_000, knownForMs: 5 * 60_000 };

/** The public keys of this server's tokens, and which tokens they have verified; both follow the key ring. */
export function openOwnTokens(ring: PublishedKeys): OwnTokens {
  const read = () => createLocalJWKSet({ keys: ring.tokenKeys().published.map((jwk) => ({ ...jwk })) });
  const verified = createVerifiedTokens({ ...verifiedTokens, now: Date.now });
  let current = read();
  ring.onChange(() => {
    current = read();
    verified.forget();
  });
  return { keys: (header, token) => current(header, token), verified, now: Date.now };
}

/**
 * The claims of an access token that this server signed and that has not expired, for whichever audience; undefined
 * for anything else. Whether it still carries authority is another question.
 */
export async function verifyOwnToken(
  own: AccessTokenDeps,
  issuer: string,
  token: string,
): Promise<AccessTokenClaims | undefined> {
  try {
    return (await verifyAccessToken(own, token, { issuer, leewaySeconds: 0 })).claims;
  } catch (error) {
    if (error instanceof VerificationError) return undefined;
    throw error;
  }
}
