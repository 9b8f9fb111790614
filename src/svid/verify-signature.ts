import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { type VerifySignature, x509Algorithms } from "@countersign/sdk/verify/x509-signature";

const keysMax = 256;

/** Verifies signatures on certificates by OpenSSL, at half of what WebCrypto takes. Keys of authorities are few, and kept. */
export function createSignatureVerifier(): VerifySignature {
  const keys = new Map<string, KeyObject>();
  function keyOf(spki: Uint8Array): KeyObject {
    const name = Buffer.from(spki).toString("latin1");
    const key = keys.get(name) ?? createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    if (keys.size >= keysMax) keys.clear();
    keys.set(name, key);
    return key;
  }
  return ({ algorithm, publicKey, message, signature }) => {
    const known = x509Algorithms[algorithm];
    if (known === undefined) return false;
    const key = keyOf(publicKey);
    if (key.asymmetricKeyType !== (known.key === "ecdsa" ? "ec" : "rsa")) return false;
    return verify(known.hash, message, key, signature);
  };
}
