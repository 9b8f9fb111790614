import {
  type EntryEnvelope,
  entryEnvelopeSchema,
  entryVersion,
  entryVersionOf,
} from "../contract/entry-envelope.ts";
import { entryBytesMax } from "../contract/ledger-entry.ts";
import { canonicalJson } from "../model/canonical-json.ts";
import { ExportFault } from "./export-fault.ts";
import { leafHash, type Sha256 } from "./rfc6962.ts";

/**
 * Reads an entry: one spelling, of this log, and what it cites. Its type may be one that this version does not know.
 *
 * @throws ExportFault `bad_entry`, `unknown_version`
 */
export function readEntry(
  text: string,
  index: number,
  origin: string,
  hash: Sha256,
): { entry: EntryEnvelope; leaf: Uint8Array } {
  const octets = new TextEncoder().encode(text);
  if (octets.length > entryBytesMax) throw new ExportFault("bad_entry", "the entry is too large", { index });
  const value = parseCanonical(text, index);
  const version = entryVersionOf(value);
  if (version !== undefined && version !== entryVersion) {
    const detail = `the entry is of version ${version}, and this verifier knows version ${entryVersion}: use a newer one`;
    throw new ExportFault("unknown_version", detail, { index });
  }
  const parsed = entryEnvelopeSchema.safeParse(value);
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
