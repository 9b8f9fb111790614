import { fromBase64, toBase64 } from "./base64.ts";
import { type CheckpointTrust, openCheckpoint, parseDecimal } from "./checkpoint.ts";
import type { VerifiedSignature } from "./note.ts";
import { verifyInclusion } from "./proof.ts";
import { hashBytes, leafHash, type Sha256, sha256 } from "./rfc6962.ts";
import type { VerifierKey } from "./vkey.ts";

/** A proof, complete in itself, that one entry is in a log. */
export interface TlogProof {
  readonly index: number;
  /** From the leaf's sibling up to the root's child. */
  readonly inclusion: readonly Uint8Array[];
  /** The signed checkpoint, verbatim. */
  readonly checkpoint: string;
  /** What an application adds; nothing authenticates it. */
  readonly extra?: Uint8Array;
}

const header = "c2sp.org/tlog-proof@v1";
const inclusionHashesMax = 63;

/** The text of a proof. @see C2SP tlog-proof, "Format" */
export function formatTlogProof({ index, inclusion, checkpoint, extra }: TlogProof): string {
  const lines = [header];
  if (extra !== undefined) lines.push(`extra ${toBase64(extra)}`);
  lines.push(`index ${index}`, ...inclusion.map(toBase64), "");
  return `${lines.join("\n")}\n${checkpoint}`;
}

/** The proof that `text` is, or undefined. Its checkpoint is not looked into. */
export function parseTlogProof(text: string): TlogProof | undefined {
  const end = text.indexOf("\n\n");
  if (end < 0) return undefined;
  const [first, ...lines] = text.slice(0, end).split("\n");
  const extra = lines[0]?.startsWith("extra ") ? fromBase64(lines.shift()?.slice(6) ?? "") : null;
  const index = lines[0]?.startsWith("index ") ? parseDecimal(lines[0].slice(6)) : undefined;
  if (first !== header || extra === undefined || index === undefined) return undefined;
  if (lines.length - 1 > inclusionHashesMax) return undefined;
  const inclusion = lines.slice(1).map(fromBase64);
  if (!inclusion.every((hash) => hash?.length === hashBytes)) return undefined;
  return {
    index,
    inclusion: inclusion.filter((hash) => hash !== undefined),
    checkpoint: text.slice(end + 2),
    ...(extra === null ? {} : { extra }),
  };
}

export type TlogProofVerdict =
  | {
      readonly ok: true;
      readonly origin: string;
      readonly index: number;
      /** Size of the tree that the proof leads to. */
      readonly size: number;
      readonly signedBy: readonly VerifierKey[];
      readonly witnesses: readonly VerifiedSignature[];
    }
  | { readonly ok: false; readonly why: string };

/**
 * Verifies that the log of a trusted key holds this entry, offline.
 *
 * @param entry the entry's exact octets, or the text they are the UTF-8 of
 * @see C2SP tlog-proof
 */
export async function verifyTlogProof(
  entry: Uint8Array | string,
  proof: string,
  trust: CheckpointTrust,
  hash: Sha256 = sha256,
): Promise<TlogProofVerdict> {
  const parsed = parseTlogProof(proof);
  if (parsed === undefined) return { ok: false, why: "it is not a tlog-proof" };
  const opened = await openCheckpoint(parsed.checkpoint, trust);
  if (!opened.ok) return opened;
  const { origin, size, root } = opened.checkpoint;
  const octets = typeof entry === "string" ? new TextEncoder().encode(entry) : entry;
  const claim = {
    index: parsed.index,
    size,
    leafHash: leafHash(octets, hash),
    root,
    proof: parsed.inclusion,
  };
  if (!verifyInclusion(claim, hash))
    return { ok: false, why: "the entry is not at this index of the signed tree" };
  return {
    ok: true,
    origin,
    index: parsed.index,
    size,
    signedBy: opened.signedBy,
    witnesses: opened.witnesses,
  };
}
