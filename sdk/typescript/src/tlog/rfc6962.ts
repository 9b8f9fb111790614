import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";

/** A synchronous SHA-256. A server passes its platform's own, which is faster than the default. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

/** SHA-256 in plain JavaScript: for 65 bytes far quicker than the asynchronous WebCrypto. @see FIPS 180-4 */
export const sha256: Sha256 = (bytes) => nobleSha256(bytes);

/** Bytes of one hash. */
export const hashBytes = 32;

/** The hash of an entry as a leaf of the tree. @see RFC 6962, section 2.1 */
export function leafHash(entry: Uint8Array, hash: Sha256 = sha256): Uint8Array {
  const preimage = new Uint8Array(1 + entry.length);
  preimage.set(entry, 1);
  return hash(preimage);
}

/** The hash over two adjacent subtrees; its prefix differs from a leaf's, so that neither passes for the other. */
export function nodeHash(left: Uint8Array, right: Uint8Array, hash: Sha256 = sha256): Uint8Array {
  const preimage = nodePreimage();
  preimage.set(left, 1);
  preimage.set(right, 1 + hashBytes);
  return hash(preimage);
}

/** What is hashed for two subtrees, with room for their hashes from the second byte on. */
export function nodePreimage(): Uint8Array {
  const preimage = new Uint8Array(1 + 2 * hashBytes);
  preimage[0] = 1;
  return preimage;
}

/** The root of the tree without entries. @see RFC 6962, section 2.1 */
export function emptyRoot(hash: Sha256 = sha256): Uint8Array {
  return hash(new Uint8Array(0));
}

/**
 * The Merkle Tree Hash over adjacent subtrees of equal size, the last of which may be smaller.
 *
 * @param hashes their roots from left to right; none gives the root of the empty tree
 * @see RFC 6962, section 2.1
 */
export function merkleRoot(hashes: readonly Uint8Array[], hash: Sha256 = sha256): Uint8Array {
  let row = hashes;
  while (row.length > 1) row = rowAbove(row, hash);
  return row[0] ?? emptyRoot(hash);
}

function rowAbove(row: readonly Uint8Array[], hash: Sha256): Uint8Array[] {
  const above: Uint8Array[] = [];
  for (let i = 0; i < row.length; i += 2) {
    const left = row[i];
    const right = row[i + 1];
    if (left === undefined) break;
    above.push(right === undefined ? left : nodeHash(left, right, hash));
  }
  return above;
}

/** Whether two byte strings are equal. Not constant in time: all that is compared here is public. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
