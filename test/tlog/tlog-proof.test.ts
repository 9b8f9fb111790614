import { formatCheckpoint } from "@countersign/sdk/tlog/checkpoint";
import { formatNote } from "@countersign/sdk/tlog/note";
import { planInclusion, proofOf, rootOf } from "@countersign/sdk/tlog/proof";
import { leafHash, merkleRoot } from "@countersign/sdk/tlog/rfc6962";
import { formatTlogProof, parseTlogProof, verifyTlogProof } from "@countersign/sdk/tlog/tlog-proof";
import type { TreeNode } from "@countersign/sdk/tlog/tree-node";
import { parseVerifierKey } from "@countersign/sdk/tlog/vkey";
import { describe, expect, test } from "vitest";
import { newNoteKey } from "./note-key.ts";

const key = newNoteKey("log.example/log/a");
const logKeys = [parseVerifierKey(key.vkey)].filter((parsed) => parsed !== undefined);
const entries = Array.from({ length: 21 }, (_, i) => `entry ${i}`);
const leaves = entries.map((entry) => leafHash(new TextEncoder().encode(entry)));
const hashOf = ({ level, index }: TreeNode) =>
  merkleRoot(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level));
const text = formatCheckpoint({ origin: key.name, size: 21, root: rootOf(21, hashOf), extensions: [] });
const checkpoint = formatNote({ text, signatures: [key.signature(text)] });
const proof = (index: number) =>
  formatTlogProof({ index, inclusion: proofOf(planInclusion(index, 21), hashOf), checkpoint });

describe("a tlog-proof", () => {
  test("has the form that the specification shows", () => {
    const lines = formatTlogProof({
      index: 5,
      inclusion: [new Uint8Array(32)],
      checkpoint,
      extra: new Uint8Array([1]),
    });
    expect(lines.split("\n").slice(0, 5)).toEqual([
      "c2sp.org/tlog-proof@v1",
      "extra AQ==",
      "index 5",
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
      "",
    ]);
    expect(lines.endsWith(`\n\n${checkpoint}`)).toBe(true);
    expect(parseTlogProof(lines)).toEqual({
      index: 5,
      inclusion: [new Uint8Array(32)],
      checkpoint,
      extra: new Uint8Array([1]),
    });
  });

  test("shows a stranger with the log's key that an entry is in the log", async () => {
    for (const [index, entry] of entries.entries()) {
      const verdict = await verifyTlogProof(entry, proof(index), { logKeys });
      expect(verdict).toMatchObject({ ok: true, origin: key.name, index, size: 21, witnesses: [] });
    }
  });

  test("shows nothing of another entry, another index, or to one with another key", async () => {
    expect(await verifyTlogProof("entry 6", proof(5), { logKeys })).toMatchObject({ ok: false });
    const moved = proof(5).replace("index 5", "index 4");
    expect(await verifyTlogProof("entry 5", moved, { logKeys })).toMatchObject({ ok: false });
    const stranger = parseVerifierKey(newNoteKey(key.name).vkey);
    expect(await verifyTlogProof("entry 5", proof(5), { logKeys: stranger ? [stranger] : [] })).toMatchObject(
      { ok: false },
    );
  });

  test("with any line changed, removed or doubled is refused", async () => {
    const lines = proof(5).split("\n");
    for (let i = 0; i < lines.length - 1; i++) {
      const changed = [lines.toSpliced(i, 1), lines.with(i, `${lines[i]}A`)];
      // The last line is the signature: there once more it says nothing more.
      if (i < lines.length - 2) changed.push(lines.toSpliced(i, 0, lines[i] ?? ""));
      for (const proofLines of changed) {
        expect(await verifyTlogProof("entry 5", proofLines.join("\n"), { logKeys })).toMatchObject({
          ok: false,
        });
      }
    }
  });

  test.each(["index 05", "index -1", "index 1.0", "index", "index  5", "extra AQ==\nindex 5\nextra AQ=="])(
    "whose head is %j is malformed",
    (head) => {
      expect(parseTlogProof(proof(5).replace("index 5", head))).toBeUndefined();
    },
  );
});
