import { createCipheriv, createDecipheriv, type KeyObject } from "node:crypto";

export const keyBytes = 32;
export const nonceBytes = 12;
const tagBytes = 16;

/**
 * Encrypts with AES-256-GCM; the result is nonce, ciphertext and tag, one after the other.
 *
 * @param nonce 12 random bytes, never used twice with one key
 * @param context must be given again to decrypt: what is sealed for one place opens at no other
 * @see NIST SP 800-38D
 */
export function encrypt(
  key: KeyObject,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  context: string,
): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(Buffer.from(context, "utf8"));
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** The plaintext of what `encrypt` made. @throws Error when key, context or a single bit is another. */
export function decrypt(key: KeyObject, sealed: Uint8Array, context: string): Uint8Array {
  if (sealed.length < nonceBytes + tagBytes) throw new Error("the ciphertext is cut short");
  const nonce = sealed.subarray(0, nonceBytes);
  const tagStart = sealed.length - tagBytes;
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: tagBytes });
  decipher.setAAD(Buffer.from(context, "utf8"));
  decipher.setAuthTag(sealed.subarray(tagStart));
  return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, tagStart)), decipher.final()]);
}
