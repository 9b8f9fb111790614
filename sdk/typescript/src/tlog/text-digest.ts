import { toBase64 } from "./base64.ts";
import { type Sha256, sha256 } from "./rfc6962.ts";

const encoder = new TextEncoder();

/** The name by which entries cite a text: the SHA-256 of its UTF-8, base64url. */
export function textDigest(text: string, hash: Sha256 = sha256): string {
  return toBase64(hash(encoder.encode(text)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace("=", "");
}
