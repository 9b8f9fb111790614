import { textDigest } from "../tlog/text-digest.ts";

/**
 * By what a signed JWT is known that is taken once: the SHA-256 of what was signed of it, base64url. Of one ECDSA signature
 * anybody makes another that holds, without the key, and its base64url has several spellings.
 */
export function signedPartHash(jwt: string): string {
  return textDigest(jwt.slice(0, jwt.lastIndexOf(".")));
}
