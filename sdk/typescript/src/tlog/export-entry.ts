import { entryBytesMax, type LedgerEntry, ledgerEntrySchema } from "../contract/ledger-entry.ts";
import { canonicalJson } from "../model/canonical-json.ts";
import { toBase64 } from "./base64.ts";
import { ExportFault } from "./export-fault.ts";
import { leafHash, type Sha256 } from "./rfc6962.ts";

/**
 * Reads an entry as strictly as it was written: one spelling, a known shape, this log.
 *
 * @throws ExportFault `bad_entry`
 */
export function readEntry(
  text: string,
  index: number,
  origin: string,
  hash: Sha256,
): { entry: LedgerEntry; leaf: Uint8Array } {
  const octets = new TextEncoder().encode(text);
  if (octets.length > entryBytesMax) throw new ExportFault("bad_entry", "the entry is too large", { index });
  const parsed = ledgerEntrySchema.safeParse(parseCanonical(text, index));
  if (!parsed.success)
    throw new ExportFault("bad_entry", "the entry has not the shape of an entry", { index });
  if (parsed.data.log !== origin)
    throw new ExportFault("bad_entry", "the entry belongs to another log", { index });
  return { entry: parsed.data, leaf: leafHash(octets, hash) };
}

function parseCanonical(text: string, index: number): unknown {
  try {
    const value = JSON.parse(text);
    if (canonicalJson(value) === text) return value;
  } catch (cause) {
    throw new ExportFault("bad_entry", `the entry is not JSON: ${String(cause)}`, { index });
  }
  throw new ExportFault("bad_entry", "the entry is not canonical JSON", { index });
}

/** The name by which entries cite a text: its SHA-256, base64url. */
export function textDigest(text: string, hash: Sha256): string {
  const digest = hash(new TextEncoder().encode(text));
  return toBase64(digest).replaceAll("+", "-").replaceAll("/", "_").replace("=", "");
}
