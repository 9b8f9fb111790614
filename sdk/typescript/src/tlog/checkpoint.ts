import { fromBase64, toBase64 } from "./base64.ts";
import { parseNote, type VerifiedSignature, verifyNote } from "./note.ts";
import { hashBytes } from "./rfc6962.ts";
import { signatureTypes, type VerifierKey } from "./vkey.ts";

/** What a log says of its tree: which log, how many entries, and their root. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  /** Lines after the third, which no monitor can check; Countersign writes none. */
  readonly extensions: readonly string[];
}

/** The note text of a checkpoint. @see C2SP tlog-checkpoint, "Note text" */
export function formatCheckpoint({ origin, size, root, extensions }: Checkpoint): string {
  return [origin, String(size), toBase64(root), ...extensions, ""].join("\n");
}

/** The checkpoint that a note's text is, or undefined: a size has no leading zero, a root has one spelling. */
export function parseCheckpoint(noteText: string): Checkpoint | undefined {
  if (!noteText.endsWith("\n")) return undefined;
  const [origin, sizeText, rootText, ...extensions] = noteText.slice(0, -1).split("\n");
  if (origin === undefined || sizeText === undefined || rootText === undefined || origin === "")
    return undefined;
  const size = parseDecimal(sizeText);
  const root = fromBase64(rootText);
  if (size === undefined || root?.length !== hashBytes || extensions.includes("")) return undefined;
  return { origin, size, root, extensions };
}

/** The number that a decimal without leading zeros is, or undefined; also beyond 2^53, where numbers are not exact. */
export function parseDecimal(text: string): number | undefined {
  const number = /^(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}

/** Whom a caller trusts to sign checkpoints. */
export interface CheckpointTrust {
  /** The log's keys; a key is trusted only for the log it is named after. */
  readonly logKeys: readonly VerifierKey[];
  /** Witnesses, who vouch that the log shows everybody the same tree. */
  readonly witnessKeys?: readonly VerifierKey[];
}

export type OpenedCheckpoint =
  | {
      readonly ok: true;
      readonly checkpoint: Checkpoint;
      /** The trusted keys of the log that signed; at least one. */
      readonly signedBy: readonly VerifierKey[];
      /** The trusted witnesses that signed. With none the checkpoint is the log's own assertion, no more. */
      readonly witnesses: readonly VerifiedSignature[];
    }
  | { readonly ok: false; readonly why: string };

/**
 * Opens a signed checkpoint: it counts only if a trusted key of the log it names signed it, and no trusted key's
 * signature is wrong.
 *
 * @see C2SP tlog-checkpoint, signed-note and tlog-cosignature
 */
export async function openCheckpoint(signedNote: string, trust: CheckpointTrust): Promise<OpenedCheckpoint> {
  const note = parseNote(signedNote);
  if (note === undefined) return { ok: false, why: "the checkpoint is not a signed note" };
  const checkpoint = parseCheckpoint(note.text);
  if (checkpoint === undefined) return { ok: false, why: "the note is not a checkpoint" };
  // Else whoever has the key of one log could speak for another.
  const logKeys = trust.logKeys.filter(
    (key) => key.name === checkpoint.origin && key.type === signatureTypes.ed25519,
  );
  const witnessKeys = (trust.witnessKeys ?? []).filter((key) => key.type === signatureTypes.cosignatureV1);
  const verified = await verifyNote(note, [...logKeys, ...witnessKeys]);
  if (verified === undefined) return { ok: false, why: "a signature on the checkpoint is wrong" };
  const signedBy = verified.filter(({ key }) => logKeys.includes(key)).map(({ key }) => key);
  if (signedBy.length === 0) return { ok: false, why: "no trusted key of this log signed the checkpoint" };
  return {
    ok: true,
    checkpoint,
    signedBy,
    witnesses: verified.filter(({ key }) => witnessKeys.includes(key)),
  };
}
