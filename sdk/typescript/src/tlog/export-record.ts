import { z } from "zod";
import { entryBytesMax } from "../contract/ledger-entry.ts";
import { canonicalJson } from "../model/canonical-json.ts";

const hash = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
const count = z.int().nonnegative();

/**
 * One line of an export: newline-delimited canonical JSON, `application/x-ndjson`. The order is fixed:
 *
 * 1. the header and the checkpoint;
 * 2. the entries by index; before the first entry that names a policy version, that policy; after an entry with a
 *    decision, the decision's input; after the last entry of a tile, the tiles that it fills, lowest first;
 * 3. after the last entry that the checkpoint covers, the partial tiles, lowest first.
 *
 * So a reader needs no memory of what went by, and nothing can be left out unseen.
 */
export const exportRecordSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("header"),
    format: z.literal("countersign-export/v1"),
    origin: z.string().min(1).max(512),
    /** The keys that signed the checkpoint, each as name+id+key. Nobody should trust them for standing here. */
    vkeys: z.array(z.string().max(1024)).min(1).max(16),
  }),
  z.strictObject({ kind: z.literal("checkpoint"), note: z.string().max(100_000) }),
  /** A policy version that decided; `hash` is the SHA-256 of its text. */
  z.strictObject({ kind: z.literal("policy"), hash, text: z.string() }),
  z.strictObject({ kind: z.literal("entry"), index: count, entry: z.string().max(entryBytesMax) }),
  /** What a decision was made from; `hash` is the SHA-256 of the text, `null` once it was erased. */
  z.strictObject({ kind: z.literal("input"), hash, text: z.string().nullable() }),
  /** `hashes` is the tile as C2SP tlog-tiles serves it, in base64: 256 hashes, fewer on the right edge. */
  z.strictObject({
    kind: z.literal("tile"),
    level: z.int().min(0).max(63),
    index: count,
    hashes: z.base64().max(10_924),
  }),
]);

export type ExportRecord = z.infer<typeof exportRecordSchema>;

/** The one line that says this record, without its newline. */
export function formatExportRecord(record: ExportRecord): string {
  return canonicalJson(record);
}

/** The record that a line says, or undefined: also when it says it in other words than canonical JSON. */
export function parseExportRecord(line: string): ExportRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const parsed = exportRecordSchema.safeParse(value);
  return parsed.success && line.isWellFormed() && formatExportRecord(parsed.data) === line
    ? parsed.data
    : undefined;
}
