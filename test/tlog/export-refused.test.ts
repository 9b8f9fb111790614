import { formatCheckpoint } from "@countersign/sdk/tlog/checkpoint";
import type { ExportRecord } from "@countersign/sdk/tlog/export-record";
import { formatNote } from "@countersign/sdk/tlog/note";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  edit,
  entries,
  entryText,
  entryTexts,
  exportRecords,
  isEntry,
  isTile,
  key,
  lineOf,
  linesOf,
  nodeSha256,
  origin,
  records,
  verify,
  verifyRecords,
} from "./export-fixture.ts";
import { newNoteKey } from "./note-key.ts";

describe("[LED-004] an export is refused, and the first thing wrong is named, when", () => {
  test("an entry says something else", async () => {
    const altered = edit(isEntry(300), () => [
      { kind: "entry", index: 300, entry: entryText(300, { agent: "agt_x" }) },
    ]);
    expect(await verifyRecords(altered)).toMatchObject({
      ok: false,
      problem: {
        code: "entry_altered",
        index: 300,
        line: lineOf(isTile(0, 1)),
        tile: { level: 0, index: 1 },
      },
    });
  });

  test("an entry on the right edge says something else", async () => {
    const altered = edit(isEntry(699), () => [
      { kind: "entry", index: 699, entry: entryText(699, { agent: "agt_x" }) },
    ]);
    expect(await verifyRecords(altered)).toMatchObject({
      ok: false,
      problem: { code: "entry_altered", index: 699 },
    });
  });

  test("several entries say something else: the first of them", async () => {
    const change = (record: ExportRecord): ExportRecord[] =>
      record.kind === "entry"
        ? [{ ...record, entry: entryText(record.index, { agent: "agt_x" }) }]
        : [record];
    const altered = edit((record) => [411, 290, 291].some((index) => isEntry(index)(record)), change);
    expect(await verifyRecords(altered)).toMatchObject({
      ok: false,
      problem: { code: "entry_altered", index: 290 },
    });
  });

  test("an entry is the same but written differently", async () => {
    const spaced = (entries[20] ?? "").replace('"v":1', '"v": 1');
    const altered = edit(isEntry(20), () => [{ kind: "entry", index: 20, entry: spaced }]);
    expect(await verifyRecords(altered)).toMatchObject({
      ok: false,
      problem: { code: "bad_entry", index: 20, line: lineOf(isEntry(20)) },
    });
  });

  test("an entry was taken from another log, or is none", async () => {
    for (const entry of [
      entryText(20, { log: "elsewhere/log/acme" }),
      "{}",
      "[]",
      "not JSON",
      '{"v":1e400}',
    ]) {
      const altered = edit(isEntry(20), () => [{ kind: "entry", index: 20, entry }]);
      expect(await verifyRecords(altered)).toMatchObject({
        ok: false,
        problem: { code: "bad_entry", index: 20 },
      });
    }
  });

  test("an entry is missing, there twice, or out of order", async () => {
    const missing = edit(isEntry(20), () => []);
    expect(await verifyRecords(missing)).toMatchObject({ problem: { code: "entry_missing", index: 20 } });
    const twice = edit(isEntry(20), (record) => [record, record]);
    expect(await verifyRecords(twice)).toMatchObject({ problem: { code: "entry_repeated", index: 20 } });
    const swapped = edit(
      (record) => isEntry(20)(record) || isEntry(21)(record),
      (record) => (record.kind === "entry" ? [{ ...record, index: 41 - record.index }] : []),
    );
    expect(await verifyRecords(swapped)).toMatchObject({ problem: { code: "entry_missing", index: 20 } });
    const renumbered = edit(
      (record) => isEntry(20)(record) || isEntry(21)(record),
      (record) => [
        {
          kind: "entry",
          index: (record as { index: number }).index,
          entry: entries[41 - (record as { index: number }).index] ?? "",
        },
      ],
    );
    expect(await verifyRecords(renumbered)).toMatchObject({ problem: { code: "entry_altered", index: 20 } });
  });

  test("it ends too early, wherever", async () => {
    const lines = linesOf(exportRecords(entries.slice(0, 300), key));
    for (let length = 0; length < lines.length; length++) {
      expect(await verify(lines.slice(0, length))).toMatchObject({ ok: false });
    }
    expect(await verify(lines.slice(0, 100))).toMatchObject({ problem: { code: "truncated" } });
  });

  test("a tile says something else: the entry is named, and that the tile is the altered one", async () => {
    const altered = edit(isTile(0, 1), (record) =>
      record.kind === "tile" ? [{ ...record, hashes: flipHash(record.hashes, 44) }] : [],
    );
    expect(await verifyRecords(altered)).toMatchObject({
      problem: { code: "tile_altered", index: 300, tile: { level: 0, index: 1 }, line: lineOf(isTile(0, 1)) },
    });
    const above = edit(isTile(1, 0), (record) =>
      record.kind === "tile" ? [{ ...record, hashes: flipHash(record.hashes, 1) }] : [],
    );
    expect(await verifyRecords(above)).toMatchObject({
      problem: { code: "tile_mismatch", index: 256, tile: { level: 1, index: 0 } },
    });
  });

  test("a tile is missing, there twice, too short or too long", async () => {
    for (const tile of [isTile(0, 0), isTile(0, 2), isTile(1, 0)]) {
      expect(await verifyRecords(edit(tile, () => []))).toMatchObject({ ok: false });
      expect(await verifyRecords(edit(tile, (record) => [record, record]))).toMatchObject({ ok: false });
    }
    const shorter = edit(isTile(0, 2), (record) =>
      record.kind === "tile"
        ? [{ ...record, hashes: Buffer.from(record.hashes, "base64").subarray(32).toString("base64") }]
        : [],
    );
    expect(await verifyRecords(shorter)).toMatchObject({
      problem: { index: 512, tile: { level: 0, index: 2 } },
    });
  });

  test("entries and tiles were rewritten together", async () => {
    const rewritten = exportRecords(
      entries.with(300, entryText(300, { agent: "agt_x" })),
      newNoteKey(origin),
    );
    const forged = rewritten.map((record, i) => (i < 2 ? (records[i] ?? record) : record));
    expect(await verifyRecords(forged)).toMatchObject({ problem: { code: "root_mismatch" } });
  });

  test("a key signed it that the caller does not know", async () => {
    const forged = exportRecords(entries, newNoteKey(origin));
    expect(await verifyRecords(forged)).toMatchObject({ problem: { code: "bad_checkpoint", line: 2 } });
    expect(await verifyRecords(forged, { vkeys: [] })).toMatchObject({ ok: true, keys: "self-asserted" });
  });

  test("its checkpoint is another log's, signed by a key that the caller trusts", async () => {
    const text = formatCheckpoint({
      origin: "elsewhere/log/x",
      size: 0,
      root: nodeSha256(new Uint8Array()),
      extensions: [],
    });
    const note = formatNote({ text, signatures: [key.signature(text)] });
    const [header] = records;
    expect(await verifyRecords(header ? [header, { kind: "checkpoint", note }] : [])).toMatchObject({
      ok: false,
    });
  });

  test("its header names a key that did not sign", async () => {
    const [, ...rest] = records;
    const vkeys = [key.vkey, newNoteKey(origin).vkey];
    const altered: ExportRecord[] = [
      { kind: "header", format: "countersign-export/v1", origin, vkeys },
      ...rest,
    ];
    expect(await verifyRecords(altered)).toMatchObject({ problem: { code: "bad_header" } });
  });

  test("a policy or a decision's input is not what was recorded", async () => {
    const policy = edit(
      ({ kind }) => kind === "policy",
      (record) => [{ ...record, text: "p, all is allowed" } as ExportRecord],
    );
    expect(await verifyRecords(policy)).toMatchObject({ problem: { code: "bad_policy", index: 3 } });
    const none = edit(
      ({ kind }) => kind === "policy",
      () => [],
    );
    expect(await verifyRecords(none)).toMatchObject({ problem: { code: "bad_policy", index: 3 } });
    const line = lineOf(isEntry(23)) + 1;
    const input = records.map((record, i) =>
      i === line - 1 ? ({ ...record, text: "{}" } as ExportRecord) : record,
    );
    expect(await verifyRecords(input)).toMatchObject({ problem: { code: "bad_input", index: 23, line } });
    expect(await verifyRecords(records.toSpliced(line - 1, 1))).toMatchObject({
      problem: { code: "bad_input", index: 23 },
    });
  });

  test("the caller gives something that is no key, which is the caller's mistake", async () => {
    await expect(verify(linesOf(records), { vkeys: ["nonsense"] })).rejects.toThrow(TypeError);
  });
});

test("[LED-004] no octet of an export can be changed unseen", async () => {
  const lines = linesOf(exportRecords(entryTexts(14), key));
  const whole = lines.join("\n");
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 127 }), async (place, change) => {
      const flipped = String.fromCharCode((whole.charCodeAt(place) ^ change) & 0x7f || 0x21);
      fc.pre(flipped !== whole.charAt(place));
      const changed = whole.slice(0, place) + flipped + whole.slice(place + 1);
      const verdict = await verify(changed.split("\n"));
      expect(verdict.ok).toBe(false);
    }),
    { numRuns: 400 },
  );
});

/** A tile's base64 with one bit changed in the hash at this place. */
function flipHash(hashes: string, place: number): string {
  const octets = Buffer.from(hashes, "base64");
  octets.writeUInt8(octets.readUInt8(place * 32 + 31) ^ 1, place * 32 + 31);
  return octets.toString("base64");
}
