import { hash } from "node:crypto";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { verifyExport } from "@countersign/sdk/tlog/export";
import { linesOf as splitLines } from "@countersign/sdk/tlog/export-lines";
import { cosignedMessage, formatNote } from "@countersign/sdk/tlog/note";
import { signatureTypes } from "@countersign/sdk/tlog/vkey";
import { describe, expect, test } from "vitest";
import {
  edit,
  entries,
  entryText,
  entryTexts,
  exportRecords,
  key,
  linesOf,
  origin,
  records,
  stream,
  verify,
  verifyRecords,
} from "./export-fixture.ts";
import { newNoteKey } from "./note-key.ts";

const decisionOf = (index: number): object => JSON.parse(entryText(index)).decision;

describe("an export that holds together", () => {
  test.each([0, 1, 2, 255, 256, 257, 512, 700])("of %i entries is accepted", async (size) => {
    const verdict = await verifyRecords(exportRecords(entries.slice(0, size), key));
    expect(verdict).toMatchObject({
      ok: true,
      origin,
      size,
      keys: "given",
      signedBy: [key.vkey],
    });
  });

  test("of 65,537 entries is accepted with its tiles of two levels", async () => {
    const verdict = await verifyRecords(exportRecords(entryTexts(65_537), key));
    expect(verdict).toMatchObject({ ok: true, size: 65_537 });
  });

  test("by a newer version is accepted, with types and members that this one does not know", async () => {
    const newer = { type: "svid.issued", serial: "7", decision: { ...decisionOf(3), obligations: ["log"] } };
    const entry = canonicalJson({ ...JSON.parse(entryText(3)), ...newer });
    const verdict = await verifyRecords(exportRecords(entries.slice(0, 300).with(3, entry), key));
    expect(verdict).toMatchObject({ ok: true, size: 300, policies: 1 });
  });

  test("but for entries of an unknown version is told apart from one that is damaged", async () => {
    const entry = canonicalJson({ ...JSON.parse(entryText(20)), v: 2 });
    expect(await verifyRecords(exportRecords(entries.slice(0, 300).with(20, entry), key))).toMatchObject({
      ok: false,
      problem: { code: "unknown_version", index: 20, detail: expect.stringContaining("version 2") },
    });
  });

  test("says what is in it: policies, inputs that are there and inputs that were erased", async () => {
    expect(await verify(linesOf(records))).toMatchObject({
      ok: true,
      policies: 1,
      inputs: { opened: 69, erased: 1 },
    });
  });

  test("[LED-005] says that nobody but itself vouches for its key when the caller gives none", async () => {
    expect(await verify(linesOf(records), { vkeys: [] })).toMatchObject({
      ok: true,
      keys: "self-asserted",
      witnesses: [],
    });
  });

  test("refuses whatever follows what its checkpoint covers", async () => {
    const verdict = await verifyRecords(exportRecords(entries, key, 600));
    expect(verdict).toMatchObject({ ok: false, problem: { code: "unexpected_record" } });
  });

  test("refuses a policy that the next entry does not cite", async () => {
    const text = "not cited";
    const uncited = { kind: "policy", hash: hash("sha256", text, "base64url"), text } as const;
    for (const place of [2, records.length]) {
      const verdict = await verifyRecords([...records.slice(0, place), uncited, ...records.slice(place)]);
      expect(verdict).toMatchObject({ ok: false });
    }
  });

  test("names the witnesses whom the caller trusts and who saw it", async () => {
    const witness = newNoteKey("witness.example/w1", signatureTypes.cosignatureV1);
    const cosigned = edit(
      ({ kind }) => kind === "checkpoint",
      (record) => {
        if (record.kind !== "checkpoint") return [record];
        const text = record.note.slice(0, record.note.indexOf("\n\n") + 1);
        const signatures = [
          key.signature(text),
          witness.signature(cosignedMessage(text, 1_700_000_000), 1_700_000_000),
        ];
        return [{ kind: "checkpoint", note: formatNote({ text, signatures }) }];
      },
    );
    const witnesses = [{ name: "witness.example/w1", timeSeconds: 1_700_000_000 }];
    expect(await verifyRecords(cosigned, { witnesses: [witness.vkey] })).toMatchObject({
      ok: true,
      witnesses,
    });
    expect(await verifyRecords(cosigned)).toMatchObject({ ok: true, witnesses: [] });
  });

  test("shows where the log went on from an older state", async () => {
    const recovered = [
      ...entries.slice(0, 5),
      entryText(5, { type: "log.recovered" }),
      ...entries.slice(6, 9),
    ];
    expect(await verifyRecords(exportRecords(recovered, key))).toMatchObject({ ok: true, recoveries: [5] });
  });

  test("is read from octets in chunks of any size", async () => {
    const octets = Buffer.from(
      linesOf(records.slice(0, 40))
        .map((line) => `${line}\n`)
        .join(""),
    );
    for (const bytes of [1, 7, 4096, octets.length]) {
      const chunks = Array.from({ length: Math.ceil(octets.length / bytes) }, (_, i) =>
        octets.subarray(i * bytes, (i + 1) * bytes),
      );
      const read: string[] = [];
      for await (const line of splitLines(stream(chunks))) read.push(line);
      expect(read).toEqual(linesOf(records.slice(0, 40)));
    }
  });
});

test("octets that are not UTF-8, or a line without end, are no line of an export", async () => {
  const octets = Buffer.from(
    linesOf(records.slice(0, 5))
      .map((line) => `${line}\n`)
      .join(""),
  );
  octets[octets.lastIndexOf("actor")] = 0xff;
  const trust = { vkeys: [key.vkey] };
  const verdict = await verifyExport(
    splitLines(stream([octets.subarray(0, 99), octets.subarray(99)])),
    trust,
  );
  expect(verdict).toMatchObject({ ok: false, problem: { code: "malformed_line", line: 5 } });
  const endless = Array.from({ length: 65 }, () => Buffer.alloc(1024 * 1024, 0x20));
  expect(await verifyExport(splitLines(stream(endless)), trust)).toMatchObject({
    problem: { code: "malformed_line", line: 1 },
  });
});
