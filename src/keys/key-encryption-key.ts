import { createHmac, createSecretKey, type KeyObject } from "node:crypto";
import { decrypt, encrypt, keyBytes, nonceBytes } from "./aes-gcm.ts";

/**
 * The key that wraps data keys, and nothing else. It may live where the process can't read it: a KMS or a PKCS #11
 * token implements this as well as the two kinds that come along.
 */
export interface KeyEncryptionKey {
  /** Tells one key from another and gives nothing of it away; kept beside everything it wrapped. */
  readonly id: string;
  readonly wrap: (dataKey: Uint8Array) => Promise<Uint8Array>;
  /** @throws Error when this key did not wrap it */
  readonly unwrap: (wrapped: Uint8Array) => Promise<Uint8Array>;
}

export interface RandomDeps {
  readonly randomBytes: (size: number) => Uint8Array;
}

const context = "countersign data key";

/** The 32 bytes that `text` is in base64 or base64url, with or without padding; undefined when it is anything else. */
export function parseKeyEncryptionSecret(text: string): Uint8Array | undefined {
  const unpadded = text.replace(/=$/, "").replaceAll("+", "-").replaceAll("/", "_");
  const secret = Buffer.from(unpadded, "base64url");
  // Decoding skips what it does not know; only the spelling that comes back is the one that was meant.
  return secret.length === keyBytes && secret.toString("base64url") === unpadded ? secret : undefined;
}

/**
 * The key-encryption key that an operator gave (COUNTERSIGN_KEK).
 *
 * @param secret 32 random bytes
 */
export function keyEncryptionKeyOf(deps: RandomDeps, secret: Uint8Array): KeyEncryptionKey {
  if (secret.length !== keyBytes) throw new RangeError(`a key-encryption key has ${keyBytes} bytes`);
  const key = createSecretKey(secret);
  return {
    id: idOf(key),
    wrap: async (dataKey) => encrypt(key, deps.randomBytes(nonceBytes), dataKey, context),
    unwrap: async (wrapped) => decrypt(key, wrapped, context),
  };
}

function idOf(key: KeyObject): string {
  const mac = createHmac("sha256", key).update("countersign key-encryption key id").digest();
  return `local:${mac.subarray(0, 12).toString("base64url")}`;
}
