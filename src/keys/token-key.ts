import type { StoredJwtKey } from "../store/signing-keys.ts";
import type { Sealer } from "./sealer.ts";
import { signEs256 } from "./sign-es256.ts";
import { type PublicTokenJwk, publicTokenJwk, unsealSigningKey } from "./signing-key.ts";

/** A key that signs tokens, or JWT-SVIDs. It signs, and gives its private half to nobody. */
export interface TokenKey {
  readonly kid: string;
  readonly publicJwk: PublicTokenJwk;
  /** ES256 over the message: r and s, 32 bytes each. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

/** @throws KeysUnusableError when the stored key does not open */
export async function openTokenKey(sealer: Sealer, stored: StoredJwtKey): Promise<TokenKey> {
  const privateKey = await unsealSigningKey(sealer, stored);
  const publicJwk = await publicTokenJwk(privateKey);
  return { kid: publicJwk.kid, publicJwk, sign: (message) => signEs256(privateKey, message) };
}
