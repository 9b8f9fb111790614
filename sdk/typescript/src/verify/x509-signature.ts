import { z } from "zod";
import { contentOf, DerError, readDer, readDerList, readDerOid } from "./der-reader.ts";

/** A signature on a certificate. */
export interface X509Signature {
  /** The dotted identifier of the algorithm. */
  readonly algorithm: string;
  /** The signer's SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  /** As it stands in the certificate: of ECDSA an Ecdsa-Sig-Value in DER. */
  readonly signature: Uint8Array;
}

/** Whether a signature is what it says; false, too, for an algorithm that is not accepted. */
export type VerifySignature = (signature: X509Signature) => boolean | Promise<boolean>;

/**
 * The algorithms that are accepted, with their hash: ECDSA and RSA PKCS #1 v1.5, of SHA-256 and up. @see RFC 5758; RFC 4055
 */
export const x509Algorithms: Readonly<
  Record<string, { readonly key: "ecdsa" | "rsa"; readonly hash: string }>
> = {
  "1.2.840.10045.4.3.2": { key: "ecdsa", hash: "SHA-256" },
  "1.2.840.10045.4.3.3": { key: "ecdsa", hash: "SHA-384" },
  "1.2.840.10045.4.3.4": { key: "ecdsa", hash: "SHA-512" },
  "1.2.840.113549.1.1.11": { key: "rsa", hash: "SHA-256" },
  "1.2.840.113549.1.1.12": { key: "rsa", hash: "SHA-384" },
  "1.2.840.113549.1.1.13": { key: "rsa", hash: "SHA-512" },
};

const curves: Readonly<Record<string, { readonly name: string; readonly bytes: number }>> = {
  "1.2.840.10045.3.1.7": { name: "P-256", bytes: 32 },
  "1.3.132.0.34": { name: "P-384", bytes: 48 },
  "1.3.132.0.35": { name: "P-521", bytes: 66 },
};

const [rsaBitsMin, rsaBitsMax, rsaExponentMax] = [2048, 4096, 2n ** 32n];

/**
 * Whether an RSA key may have signed a certificate: one that nobody can forge by, and that costs no more to verify by than
 * keys do that are in use, for a certificate is anybody's until it is verified. @see NIST SP 800-57, part 1
 */
export function isRsaTaken(modulusBits: number, exponent: bigint): boolean {
  const isExponentTaken = exponent > 1n && exponent <= rsaExponentMax && exponent % 2n === 1n;
  return modulusBits >= rsaBitsMin && modulusBits <= rsaBitsMax && isExponentTaken;
}

/** Verifies by the WebCrypto that browsers and servers have alike. */
export async function verifySignatureByWebCrypto(signed: X509Signature): Promise<boolean> {
  const algorithm = x509Algorithms[signed.algorithm];
  if (algorithm === undefined) return false;
  try {
    return algorithm.key === "ecdsa"
      ? await verifyEcdsa(signed, algorithm.hash)
      : await verifyRsa(signed, algorithm.hash);
  } catch (error) {
    // A key that can't be imported, or is of another kind than the algorithm, signed nothing.
    if (error instanceof DerError || error instanceof DOMException || error instanceof TypeError)
      return false;
    throw error;
  }
}

async function verifyEcdsa({ publicKey, message, signature }: X509Signature, hash: string): Promise<boolean> {
  const [algorithm] = readDerList(contentOf(readDer(publicKey), 0x30));
  const [, parameters] = readDerList(contentOf(algorithm, 0x30));
  const curve = curves[readDerOid(parameters)];
  if (curve === undefined) return false;
  const importAs = { name: "ECDSA", namedCurve: curve.name };
  const key = await crypto.subtle.importKey("spki", own(publicKey), importAs, false, ["verify"]);
  const raw = rawSignature(signature, curve.bytes);
  return crypto.subtle.verify({ name: "ECDSA", hash }, key, own(raw), own(message));
}

const rsaDetails = z.looseObject({ modulusLength: z.number(), publicExponent: z.instanceof(Uint8Array) });

/** Octets, the first the most significant. */
function numberOf(octets: Uint8Array): bigint {
  return octets.reduce((number, octet) => (number << 8n) | BigInt(octet), 0n);
}

async function verifyRsa({ publicKey, message, signature }: X509Signature, hash: string): Promise<boolean> {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash };
  const key = await crypto.subtle.importKey("spki", own(publicKey), algorithm, false, ["verify"]);
  const { modulusLength, publicExponent } = rsaDetails.parse(key.algorithm);
  if (!isRsaTaken(modulusLength, numberOf(publicExponent))) return false;
  return crypto.subtle.verify(algorithm, key, own(signature), own(message));
}

/** r and s of an Ecdsa-Sig-Value, each as long as the curve's order. @see RFC 3279, section 2.2.3 */
function rawSignature(der: Uint8Array, bytes: number): Uint8Array {
  const numbers = readDerList(contentOf(readDer(der), 0x30));
  if (numbers.length !== 2) throw new DerError("a signature has two numbers");
  const raw = new Uint8Array(2 * bytes);
  for (const [place, number] of numbers.entries()) {
    const octets = contentOf(number, 0x02);
    const digits = octets[0] === 0 ? octets.subarray(1) : octets;
    if (digits.length > bytes) throw new DerError("a signature is too long");
    raw.set(digits, (place + 1) * bytes - digits.length);
  }
  return raw;
}

/** WebCrypto takes no view of memory that may be shared. */
function own(octets: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(octets);
}
