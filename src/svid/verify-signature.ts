import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { isRsaTaken, type VerifySignature, x509Algorithms } from "@countersign/sdk/verify/x509-signature";

const keysMax = 256;
/** Those of the SDK, as OpenSSL calls them. */
const curves = ["prime256v1", "secp384r1", "secp521r1"];

/** Verifies signatures on certificates by OpenSSL, at half of what WebCrypto takes. Keys of authorities are few, and kept. */
export function createSignatureVerifier(): VerifySignature {
  const keys = new Map<string, KeyObject>();
  function keyOf(spki: Uint8Array): KeyObject | undefined {
    const name = Buffer.from(spki).toString("latin1");
    const key = keys.get(name) ?? readPublicKey(spki);
    if (keys.size >= keysMax) keys.clear();
    if (key !== undefined) keys.set(name, key);
    return key;
  }
  return ({ algorithm, publicKey, message, signature }) => {
    const known = x509Algorithms[algorithm];
    const key = known && keyOf(publicKey);
    if (known === undefined || key === undefined || !isStrong(key)) return false;
    if (key.asymmetricKeyType !== (known.key === "ecdsa" ? "ec" : "rsa")) return false;
    return verify(known.hash, message, key, signature);
  };
}

/** A SubjectPublicKeyInfo; undefined where it is none. */
export function readPublicKey(spki: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  } catch {
    // Whoever made it signed nothing with it.
    return undefined;
  }
}

/** Whether nobody can forge by it what is taken: RSA of 2048 to 4096 bits, the curves of NIST from 256 bits on, and Ed25519. */
export function isStrong({ asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject): boolean {
  const { modulusLength = 0, publicExponent = 0n, namedCurve = "" } = asymmetricKeyDetails;
  switch (asymmetricKeyType) {
    case "rsa":
      return isRsaTaken(modulusLength, publicExponent);
    case "ec":
      // A curve that is spelled out and is none of these has no name.
      return curves.includes(namedCurve);
    default:
      return asymmetricKeyType === "ed25519";
  }
}
