import { createRequire } from "node:module";
import type { LogCheckpoint } from "@sigstore/verify/dist/tlog/checkpoint.js";

/** The two internals of @sigstore/verify that check proofs and checkpoints: an implementation that is not ours. */
const require = createRequire(import.meta.url);
const { verifyMerkleInclusion } = require("@sigstore/verify/dist/tlog/merkle.js");
const { verifyCheckpoint } = require("@sigstore/verify/dist/tlog/checkpoint.js");

export interface OracleInclusion {
  readonly index: number;
  readonly size: number;
  readonly entry: Uint8Array;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** Whether sigstore accepts the proof. */
export function sigstoreAcceptsInclusion({ index, size, entry, root, proof }: OracleInclusion): boolean {
  try {
    verifyMerkleInclusion(
      {
        canonicalizedBody: Buffer.from(entry),
        inclusionProof: { logIndex: String(index), hashes: proof.map((hash) => Buffer.from(hash)) },
      },
      { logSize: BigInt(size), logHash: Buffer.from(root) },
    );
    return true;
  } catch {
    return false;
  }
}

/** The checkpoint as sigstore reads it after verifying its signature. @throws VerificationError */
export function sigstoreOpensCheckpoint(
  note: string,
  key: { origin: string; keyId: number; publicKey: unknown },
): LogCheckpoint {
  const logID = Buffer.alloc(32);
  logID.writeUInt32BE(key.keyId);
  return verifyCheckpoint({ inclusionProof: { checkpoint: { envelope: note } } }, [
    { logID, baseURL: key.origin, publicKey: key.publicKey },
  ]);
}
