import { decodeJwt } from "jose";
import { claimsHash } from "../contract/claims-hash.ts";
import { type EntryEnvelope, entryEnvelopeSchema } from "../contract/entry-envelope.ts";
import type { VerifiedSignature } from "../tlog/note.ts";
import type { Sha256 } from "../tlog/rfc6962.ts";
import { verifyTlogProof } from "../tlog/tlog-proof.ts";
import { formatVerifierKey, trustedKeys } from "../tlog/vkey.ts";
import { VerificationError } from "./verification-error.ts";

/** What shows that a token was recorded. Whoever hands it over need not be trusted. */
export interface TokenEvidence {
  /** The entry's exact text, as `/log/:log/entry/:index` gives it. */
  readonly entry: string;
  /** The tlog-proof of that entry, as `/log/:log/proof/:index` gives it. */
  readonly proof: string;
}

/** Whom the caller trusts. */
export interface RecordTrust {
  /** Verifier keys of the logs in which a token may be recorded. */
  readonly vkeys: readonly string[];
  /** Verifier keys of witnesses. */
  readonly witnesses?: readonly string[];
  readonly sha256?: Sha256;
}

/** Where a log tells of a token. */
export interface RecordedToken {
  readonly origin: string;
  readonly index: number;
  /** Entries in the signed tree that the proof leads to. */
  readonly size: number;
  /** What the entry tells of, such as `token.issued`. */
  readonly type: string;
  /** The trusted keys that signed the tree. */
  readonly signedBy: readonly string[];
  /** Witnesses that vouch for the tree. With none it is the log's own assertion, no more. */
  readonly witnesses: readonly VerifiedSignature[];
}

/**
 * Verifies, offline, that a log of a trusted key holds the entry of exactly this token, long after it expired as well.
 * Who signed the token is another question, which verifyAccessToken answers.
 *
 * @param token the token, or its claims, all of them, as verifyAccessToken gave them
 * @throws VerificationError `malformed` for what is no token, `entry_unproven` when no trusted log holds the entry,
 *   `entry_unreadable` when it is none that this version understands, `entry_mismatch` when it tells of another token;
 *   TypeError when a key that the caller gave is none
 */
export async function verifyRecordedToken(
  token: string | Readonly<Record<string, unknown>>,
  { entry, proof }: TokenEvidence,
  trust: RecordTrust,
): Promise<RecordedToken> {
  const expected = hashOf(token, trust.sha256);
  const keys = { logKeys: trustedKeys(trust.vkeys), witnessKeys: trustedKeys(trust.witnesses) };
  const proven = await verifyTlogProof(entry, proof, keys, trust.sha256);
  if (!proven.ok) throw new VerificationError("entry_unproven", proven.why);
  const { log, type, claims_hash } = envelopeOf(entry);
  if (log !== proven.origin) {
    throw new VerificationError("entry_mismatch", "the entry was made for another log than holds it");
  }
  if (claims_hash !== expected) {
    throw new VerificationError("entry_mismatch", "the entry does not tell of this token");
  }
  const { origin, index, size, signedBy, witnesses } = proven;
  return { origin, index, size, type, signedBy: signedBy.map(formatVerifierKey), witnesses };
}

function hashOf(token: string | Readonly<Record<string, unknown>>, hash: Sha256 | undefined): string {
  try {
    return claimsHash(typeof token === "string" ? decodeJwt(token) : token, hash);
  } catch (error) {
    throw new VerificationError("malformed", "that is not a token with claims", error);
  }
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
