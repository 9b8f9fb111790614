import { hash } from "node:crypto";
import type { LedgerEntry } from "@countersign/sdk/contract/ledger-entry";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { toBase64 } from "@countersign/sdk/tlog/base64";
import { formatCheckpoint } from "@countersign/sdk/tlog/checkpoint";
import { type ExportTrust, verifyExport } from "@countersign/sdk/tlog/export";
import { type ExportRecord, formatExportRecord } from "@countersign/sdk/tlog/export-record";
import { emptyFrontier, extendFrontier, frontierRoot } from "@countersign/sdk/tlog/frontier";
import { formatNote } from "@countersign/sdk/tlog/note";
import { leafHash, type Sha256 } from "@countersign/sdk/tlog/rfc6962";
import { joinHashes, partialTiles } from "@countersign/sdk/tlog/tile";
import { type NoteKey, newNoteKey } from "./note-key.ts";

export const origin = "127.0.0.1:8460/log/acme";
export const nodeSha256: Sha256 = (bytes) => hash("sha256", bytes, "buffer");
const digestOf = (text: string) => hash("sha256", text, "base64url");

const policyText = "p, default, agent, *, *, token.issue, *, allow, testing";
const inputText = (index: number) => `{"index":${index},"salt":"c2FsdA"}`;

/** The text of a legal entry; every tenth tells of a decision. */
export function entryText(index: number, more: Partial<LedgerEntry> = {}): string {
  const decision = {
    effect: "allow",
    rule: "p1",
    reason: "testing",
    policy: digestOf(policyText),
    input: digestOf(inputText(index)),
  } as const;
  return canonicalJson({
    v: 1,
    type: "token.issued",
    log: origin,
    salt: hash("sha256", String(index), "base64url").slice(0, 22),
    time: "2026-11-20T10:00:00.000Z",
    actor: { kind: "system", id: "test" },
    ...(index % 10 === 3 ? { decision } : {}),
    ...more,
  });
}

export const entryTexts = (count: number) => Array.from({ length: count }, (_, i) => entryText(i));

/** Makes an export's records from entries, by rules of its own: nothing of the server's exporter. */
export function exportRecords(
  entries: readonly string[],
  key: NoteKey,
  size = entries.length,
): ExportRecord[] {
  const leaves = entries.map((entry) => leafHash(new TextEncoder().encode(entry), nodeSha256));
  const { frontier, tiles } = extendFrontier(emptyFrontier, leaves.slice(0, size), nodeSha256);
  const text = formatCheckpoint({ origin, size, root: frontierRoot(frontier, nodeSha256), extensions: [] });
  const records: ExportRecord[] = [
    { kind: "header", format: "countersign-export/v1", origin, vkeys: [key.vkey] },
    { kind: "checkpoint", note: formatNote({ text, signatures: [key.signature(text)] }) },
  ];
  const tile = (level: number, index: number, hashes: readonly Uint8Array[]) =>
    records.push({ kind: "tile", level, index, hashes: toBase64(joinHashes(hashes)) });
  let policyGiven = false;
  for (const [index, entry] of entries.entries()) {
    const decides = index % 10 === 3;
    if (decides && !policyGiven)
      records.push({ kind: "policy", hash: digestOf(policyText), text: policyText });
    policyGiven ||= decides;
    records.push({ kind: "entry", index, entry });
    if (decides)
      records.push({
        kind: "input",
        hash: digestOf(inputText(index)),
        text: index === 13 ? null : inputText(index),
      });
    for (const { level, index: at, hashes } of tiles) {
      if (index < size && (at + 1) * 256 ** (level + 1) === index + 1) tile(level, at, hashes);
    }
    if (index + 1 === size) {
      for (const { level, index: at } of partialTiles(size)) tile(level, at, frontier.levels[level] ?? []);
    }
  }
  return records;
}

export const linesOf = (records: readonly ExportRecord[]) => records.map(formatExportRecord);

export async function* stream<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  yield* items;
}

/** A log of 700 entries, its key and its export. */
export const key = newNoteKey(origin);
export const entries = entryTexts(700);
export const records = exportRecords(entries, key);

export const verify = (lines: readonly string[], trust: ExportTrust = {}) =>
  verifyExport(stream(lines), { vkeys: [key.vkey], sha256: nodeSha256, ...trust });
export const verifyRecords = (changed: readonly ExportRecord[], trust?: ExportTrust) =>
  verify(linesOf(changed), trust);
export const lineOf = (match: (record: ExportRecord) => boolean) => records.findIndex(match) + 1;
export const isEntry = (index: number) => (record: ExportRecord) =>
  record.kind === "entry" && record.index === index;
export const isTile = (level: number, index: number) => (record: ExportRecord) =>
  record.kind === "tile" && record.level === level && record.index === index;

/** The records with one changed, or replaced by several. */
export function edit(
  match: (record: ExportRecord) => boolean,
  change: (record: ExportRecord) => readonly ExportRecord[],
) {
  return records.flatMap((record) => (match(record) ? change(record) : [record]));
}
