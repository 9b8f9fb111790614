import { type EntryEnvelope, entryEnvelopeSchema } from "../contract/entry-envelope.ts";
import type { VerifiedSignature } from "../tlog/note.ts";
import type { Sha256 } from "../tlog/rfc6962.ts";
import { verifyTlogProof } from "../tlog/tlog-proof.ts";
import { formatVerifierKey, trustedKeys } from "../tlog/vkey.ts";
import { VerificationError } from "./verification-error.ts";

/** What shows that something was recorded. Whoever hands it over need not be trusted. */
export interface EntryEvidence {
  /** The entry's exact text, as `/log/:log/entry/:index` gives it. */
  readonly entry: string;
  /** The tlog-proof of that entry, as `/log/:log/proof/:index` gives it. */
  readonly proof: string;
}

/** Whom the caller trusts. */
export interface RecordTrust {
  /** Verifier keys of the logs in which it may be recorded. */
  readonly vkeys: readonly string[];
  /** Verifier keys of witnesses. */
  readonly witnesses?: readonly string[];
  readonly sha256?: Sha256;
}

/** An entry that stands in a log of a trusted key. */
export interface ProvenEntry {
  readonly origin: string;
  readonly index: number;
  /** Entries in the signed tree that the proof leads to. */
  readonly size: number;
  /** The trusted keys that signed the tree. */
  readonly signedBy: readonly string[];
  /** Witnesses that vouch for the tree. With none it is the log's own assertion, no more. */
  readonly witnesses: readonly VerifiedSignature[];
  readonly envelope: EntryEnvelope;
}

/**
 * Verifies, offline, that a log of a trusted key holds this entry, and that it was made for that log.
 *
 * @throws VerificationError `entry_unproven` when no trusted log holds the entry, `entry_unreadable` when it is none that
 *   this version understands, `entry_mismatch` when it was made for another log; TypeError when a key that the caller
 *   gave is none
 */
export async function proveEntry(
  { entry, proof }: EntryEvidence,
  { vkeys, witnesses, sha256 }: RecordTrust,
): Promise<ProvenEntry> {
  const keys = { logKeys: trustedKeys(vkeys), witnessKeys: trustedKeys(witnesses) };
  const proven = await verifyTlogProof(entry, proof, keys, sha256);
  if (!proven.ok) throw new VerificationError("entry_unproven", proven.why);
  const envelope = envelopeOf(entry);
  if (envelope.log !== proven.origin) {
    throw new VerificationError("entry_mismatch", "the entry was made for another log than holds it");
  }
  const { origin, index, size, signedBy } = proven;
  return {
    origin,
    index,
    size,
    signedBy: signedBy.map(formatVerifierKey),
    witnesses: proven.witnesses,
    envelope,
  };
}

function envelopeOf(entry: string): EntryEnvelope {
  try {
    return entryEnvelopeSchema.parse(JSON.parse(entry));
  } catch (error) {
    throw new VerificationError(
      "entry_unreadable",
      "the entry is not one that this version understands",
      error,
    );
  }
}
