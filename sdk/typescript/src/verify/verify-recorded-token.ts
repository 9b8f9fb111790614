import { decodeJwt } from "jose";
import { claimsHash } from "../contract/claims-hash.ts";
import type { Sha256 } from "../tlog/rfc6962.ts";
import { type EntryEvidence, type ProvenEntry, proveEntry, type RecordTrust } from "./proven-entry.ts";
import { VerificationError } from "./verification-error.ts";

/** Where a log tells of a token. */
export interface RecordedToken extends Omit<ProvenEntry, "envelope"> {
  /** What the entry tells of, such as `token.issued`. */
  readonly type: string;
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
  evidence: EntryEvidence,
  trust: RecordTrust,
): Promise<RecordedToken> {
  const expected = hashOf(token, trust.sha256);
  const { envelope, ...proven } = await proveEntry(evidence, trust);
  if (envelope.claims_hash !== expected) {
    throw new VerificationError("entry_mismatch", "the entry does not tell of this token");
  }
  return { ...proven, type: envelope.type };
}

function hashOf(token: string | Readonly<Record<string, unknown>>, hash: Sha256 | undefined): string {
  try {
    return claimsHash(typeof token === "string" ? decodeJwt(token) : token, hash);
  } catch (error) {
    throw new VerificationError("malformed", "that is not a token with claims", error);
  }
}
