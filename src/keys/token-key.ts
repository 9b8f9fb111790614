import type { KeyObject } from "node:crypto";
import type { StoredTokenKey } from "../store/signing-keys.ts";
import type { Sealer } from "./sealer.ts";
import { signEs256 } from "./sign-es256.ts";
import { type PublicTokenJwk, publicTokenJwk, unsealSigningKey } from "./signing-key.ts";

/** A key that signs tokens. Printed or serialised it shows its kid and its public half only. */
export interface TokenKey {
  readonly kid: string;
  readonly publicJwk: PublicTokenJwk;
  /** For libraries that sign by themselves; made anew at each reading, never to be logged. */
  readonly privateJwk: PublicTokenJwk & { readonly d: string };
  /** ES256 over the message: r and s, 32 bytes each. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

/** @throws KeysUnusableError when the stored key does not open */
export async function openTokenKey(sealer: Sealer, stored: StoredTokenKey): Promise<TokenKey> {
  const privateKey = await unsealSigningKey(sealer, stored);
  const publicJwk = await publicTokenJwk(privateKey);
  const key = {
    kid: publicJwk.kid,
    publicJwk,
    sign: (message: Uint8Array) => signEs256(privateKey, message),
  };
  // Not enumerable: console, pino and JSON pass it by.
  return Object.defineProperty(key, "privateJwk", {
    get: () => privateJwkOf(privateKey, publicJwk),
  }) as TokenKey;
}

function privateJwkOf(privateKey: KeyObject, publicJwk: PublicTokenJwk): TokenKey["privateJwk"] {
  const { d } = privateKey.export({ format: "jwk" });
  if (d === undefined) throw new TypeError("a token key has a private half");
  return { ...publicJwk, d };
}
