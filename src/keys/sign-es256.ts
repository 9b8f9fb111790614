import { type KeyObject, sign } from "node:crypto";

const fieldBytes = 32;

/**
 * Signs with ECDSA on P-256 over SHA-256; the signature is r and s, 32 bytes each.
 *
 * @see RFC 7518, section 3.4
 */
export function signEs256(privateKey: KeyObject, message: Uint8Array): Uint8Array {
  // Asking OpenSSL for r and s itself takes twice as long as taking its DER apart.
  return rawSignature(sign("sha256", message, privateKey));
}

/** r and s out of a DER SEQUENCE of two INTEGERs, all of whose lengths fit one byte on this curve. */
function rawSignature(der: Buffer): Uint8Array {
  const raw = Buffer.alloc(2 * fieldBytes);
  const rEnd = 4 + der.readUInt8(3);
  copyInteger(der.subarray(4, rEnd), raw.subarray(0, fieldBytes));
  copyInteger(der.subarray(rEnd + 2), raw.subarray(fieldBytes));
  return raw;
}

/** DER integers are as short as they can be, and have a zero before a first byte that would make them negative. */
function copyInteger(integer: Buffer, field: Buffer): void {
  const digits = integer.subarray(Math.max(0, integer.length - fieldBytes));
  digits.copy(field, fieldBytes - digits.length);
}
