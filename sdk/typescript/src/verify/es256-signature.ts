import type { JwtAuthority } from "../model/trust-bundle.ts";
import { fromBase64 } from "../tlog/base64.ts";
import type { X509Signature } from "./x509-signature.ts";

const fieldBytes = 32;
const ecdsaWithSha256 = "1.2.840.10045.4.3.2";
/** What a SubjectPublicKeyInfo of P-256 has before its point, and the octet that says that both coordinates follow. */
const spkiHead = Uint8Array.from([
  0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
  0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
]);

const encoder = new TextEncoder();
const known = new WeakMap<JwtAuthority, Uint8Array>();

/**
 * The signature of an ES256 token as a certificate would bear it, for whoever brings something that verifies those.
 *
 * @returns undefined for another algorithm or key, for a key that says what it may be used for, and for what is no token
 * @see RFC 7518, section 3.4; RFC 3279, section 2.2.3
 */
export function es256Signature(
  token: string,
  alg: string,
  authority: JwtAuthority,
): X509Signature | undefined {
  const [header, payload, text, ...more] = token.split(".");
  const signature = octetsOf(text);
  const publicKey = known.get(authority) ?? spkiOf(authority);
  if (alg !== "ES256" || publicKey === undefined || signature?.length !== 2 * fieldBytes || more.length > 0)
    return undefined;
  known.set(authority, publicKey);
  const numbers = [signature.subarray(0, fieldBytes), signature.subarray(fieldBytes)].flatMap(derInteger);
  return {
    algorithm: ecdsaWithSha256,
    publicKey,
    message: encoder.encode(`${header}.${payload}`),
    signature: Uint8Array.of(0x30, numbers.length, ...numbers),
  };
}

/** Of a key on P-256; whether its point is one of the curve is for whoever reads it to see. */
function spkiOf({ kty, crv, x, y, use = "sig", key_ops }: JwtAuthority): Uint8Array | undefined {
  if (kty !== "EC" || crv !== "P-256" || use !== "sig" || key_ops !== undefined) return undefined;
  const [one, other] = [octetsOf(x), octetsOf(y)];
  if (one?.length !== fieldBytes || other?.length !== fieldBytes) return undefined;
  return Uint8Array.of(...spkiHead, ...one, ...other);
}

/** As short as it can be, with a zero before a first octet that would make it negative. */
function derInteger(field: Uint8Array): number[] {
  const first = field.findIndex((octet) => octet !== 0);
  const digits = [...field.subarray(first === -1 ? fieldBytes - 1 : first)];
  const octets = (digits[0] ?? 0) < 0x80 ? digits : [0, ...digits];
  return [0x02, octets.length, ...octets];
}

function octetsOf(text: unknown): Uint8Array | undefined {
  if (typeof text !== "string" || !/^[A-Za-z0-9_-]*$/.test(text)) return undefined;
  const padding = "=".repeat((4 - (text.length % 4)) % 4);
  return fromBase64(text.replaceAll("-", "+").replaceAll("_", "/") + padding);
}
