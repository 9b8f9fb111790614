import { parseEntryBundle } from "@countersign/sdk/tlog/entry-bundle";
import { emptyFrontier, extendFrontier, frontierRoot } from "@countersign/sdk/tlog/frontier";
import { verifyConsistency, verifyInclusion } from "@countersign/sdk/tlog/proof";
import { leafHash } from "@countersign/sdk/tlog/rfc6962";
import { joinHashes, partialTiles, tileWidth } from "@countersign/sdk/tlog/tile";
import { formatTlogProof, verifyTlogProof } from "@countersign/sdk/tlog/tlog-proof";
import { parseVerifierKey } from "@countersign/sdk/tlog/vkey";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createReader, type LogReader } from "../../src/ledger/reader.ts";
import { sha256 } from "../../src/ledger/sha256.ts";
import { readEntries } from "../../src/store/ledger-entries.ts";
import { sigstoreAcceptsInclusion } from "../tlog/sigstore-oracle.ts";
import { acme, acmeLog, failed, openTestLedger, originOf, type TestLedger } from "./ledger-fixture.ts";

const size = 1_000;
let ledger: TestLedger;
let reader: LogReader;
let entries: string[];
let leaves: Uint8Array[];

beforeAll(async () => {
  ledger = await openTestLedger();
  await ledger.grow(700);
  await ledger.grow(300);
  reader = createReader({ db: ledger.db });
  entries = (await readEntries(ledger.db, acmeLog, 0, size)).map(({ entry }) => entry);
  leaves = entries.map((entry) => leafHash(Buffer.from(entry), sha256));
});
afterAll(() => ledger.close());

const rootOf = (count: number) =>
  frontierRoot(extendFrontier(emptyFrontier, leaves.slice(0, count)).frontier);

describe("the reader", () => {
  test("says whose log it is", async () => {
    expect(await reader.find(acmeLog)).toEqual({
      id: acmeLog,
      organization: acme,
      origin: originOf(acmeLog),
      public: false,
    });
  });

  test("gives a proof of every entry that we and sigstore accept", async () => {
    for (const [index, entry] of entries.entries()) {
      const proof = await reader.inclusion(acmeLog, index);
      const root = rootOf(size);
      expect(proof).toMatchObject({ index, size, checkpoint: await reader.checkpoint(acmeLog) });
      const hashes = proof?.hashes ?? [];
      expect(verifyInclusion({ index, size, leafHash: leaves[index] ?? root, root, proof: hashes })).toBe(
        true,
      );
      expect(sigstoreAcceptsInclusion({ index, size, entry: Buffer.from(entry), root, proof: hashes })).toBe(
        true,
      );
    }
  });

  test("gives a proof that every tree begins every later one", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: size }), fc.integer({ min: 0, max: size }), async (a, b) => {
        const [from, to] = a < b ? [a, b] : [b, a];
        const proof = await reader.consistency(acmeLog, from, to);
        expect(
          verifyConsistency({ from, fromRoot: rootOf(from), to, toRoot: rootOf(to), proof: proof ?? [] }),
        ).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  test("gives a proof that a stranger with the log's key can check", async () => {
    const { index, hashes, checkpoint } = (await reader.inclusion(acmeLog, 321)) ?? failed("no proof");
    const proof = formatTlogProof({ index, inclusion: hashes, checkpoint });
    const logKeys = (ledger.keys.get(acmeLog) ?? [])
      .map(({ vkey }) => parseVerifierKey(vkey))
      .filter((key) => key !== undefined);
    expect(await verifyTlogProof(entries[321] ?? "", proof, { logKeys })).toMatchObject({
      ok: true,
      index: 321,
      size,
    });
    expect(await verifyTlogProof(entries[320] ?? "", proof, { logKeys })).toMatchObject({ ok: false });
  });

  test("gives every tile, full and partial, and the entries beside it", async () => {
    for (const index of [0, 1, 2]) {
      const octets = await reader.tile(acmeLog, { level: 0, index, width: tileWidth });
      expect(octets).toEqual(joinHashes(leaves.slice(index * 256, index * 256 + 256)));
    }
    for (const tile of partialTiles(size))
      expect((await reader.tile(acmeLog, tile))?.length).toBe(tile.width * 32);
    const partial = await reader.tile(acmeLog, { level: 0, index: 1, width: 5 });
    expect(partial).toEqual(joinHashes(leaves.slice(256, 261)));
    const bundle = await reader.tile(acmeLog, { level: "entries", index: 3, width: 232 });
    const texts = parseEntryBundle(bundle ?? new Uint8Array())?.map((entry) => Buffer.from(entry).toString());
    expect(texts).toEqual(entries.slice(768));
  });

  test("gives nothing that no checkpoint covers", async () => {
    const beyond = size + 10;
    expect(await reader.entry(acmeLog, beyond)).toBeUndefined();
    expect(await reader.inclusion(acmeLog, beyond)).toBeUndefined();
    expect(await reader.inclusion(acmeLog, -1)).toBeUndefined();
    expect(await reader.consistency(acmeLog, 5, beyond)).toBeUndefined();
    expect(await reader.consistency(acmeLog, 6, 5)).toBeUndefined();
    expect(await reader.tile(acmeLog, { level: 0, index: 4, width: 1 })).toBeUndefined();
    expect(await reader.tile(acmeLog, { level: 0, index: 3, width: 256 })).toBeUndefined();
    expect(await reader.tile(acmeLog, { level: 63, index: 0, width: 1 })).toBeUndefined();
    expect(await reader.tile(acmeLog, { level: "entries", index: 9, width: 1 })).toBeUndefined();
  });
});
