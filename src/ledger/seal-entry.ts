import { createHash, hash } from "node:crypto";
import {
  entryBytesMax,
  type LedgerEntry,
  type LedgerEntryBody,
  ledgerEntrySchema,
} from "@countersign/sdk/contract/ledger-entry";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { DomainError } from "../domain/domain-error.ts";

/** An entry as it will be stored for good: its exact octets, and their leaf hash. */
export interface SealedEntry {
  readonly entry: string;
  readonly leafHash: Uint8Array;
}

/**
 * Completes a journey's entry with version, log, salt and time, and fixes its octets.
 *
 * @param origin origin of the log that will hold it
 * @param salt 16 random bytes
 * @throws DomainError `entry_refused` when it is no legal entry: unknown members, text that is not text, too large
 * @see RFC 6962, section 2.1 (leaf hash); RFC 8785
 */
export function sealEntry(
  body: LedgerEntryBody,
  origin: string,
  salt: Uint8Array,
  nowMs: number,
): SealedEntry {
  const candidate: LedgerEntry = {
    ...body,
    v: 1,
    log: origin,
    salt: Buffer.from(salt).toString("base64url"),
    time: new Date(nowMs).toISOString(),
  };
  const parsed = ledgerEntrySchema.safeParse(candidate);
  if (!parsed.success) throw new DomainError("entry_refused", "it is not a legal ledger entry", parsed.error);
  const entry = canonicalJson(parsed.data);
  const octets = Buffer.from(entry, "utf8");
  if (octets.length > entryBytesMax) {
    throw new DomainError("entry_refused", `an entry holds at most ${entryBytesMax} octets`);
  }
  return { entry, leafHash: createHash("sha256").update("\0").update(octets).digest() };
}

/** SHA-256 of the canonical JSON of what is about to be signed: binds a token to its entry. */
export function claimsHash(canonicalClaims: string): string {
  return hash("sha256", canonicalClaims, "base64url");
}
