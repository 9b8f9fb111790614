import { formatEntryBundle, parseEntryBundle } from "@countersign/sdk/tlog/entry-bundle";
import { leafHash, merkleRoot, sameBytes } from "@countersign/sdk/tlog/rfc6962";
import {
  hashInTile,
  joinHashes,
  parseTilePath,
  partialTiles,
  splitHashes,
  type TileName,
  tileOfNode,
  tilePath,
  tileTree,
  tileWidthAt,
} from "@countersign/sdk/tlog/tile";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

describe("tile paths", () => {
  test.each<[string, TileName]>([
    ["tile/0/x001/x234/067", { level: 0, index: 1_234_067, width: 256 }],
    ["tile/0/001", { level: 0, index: 1, width: 256 }],
    ["tile/0/001.p/5", { level: 0, index: 1, width: 5 }],
    ["tile/5/x123/x456/078", { level: 5, index: 123_456_078, width: 256 }],
    ["tile/63/000.p/255", { level: 63, index: 0, width: 255 }],
    ["tile/entries/x003/x057/500.p/2", { level: "entries", index: 3_057_500, width: 2 }],
  ])("%s names one tile", (path, name) => {
    expect(tilePath(name)).toBe(path);
    expect(parseTilePath(path)).toEqual(name);
  });

  test.each([
    "tile/00/001",
    "tile/64/001",
    "tile/-1/001",
    "tile/0/1",
    "tile/0/123/456",
    "tile/0/x000/001",
    "tile/0/x123/x456",
    "tile/0/001.p/0",
    "tile/0/001.p/05",
    "tile/0/001.p/256",
    "tile/0/001.p/999",
    "tile/0/001/",
    "tile/0/../001",
    "tile/data/001",
    "/tile/0/001",
    "tile/0/x999/x999/x999/x999/x999/x999/999",
  ])("%s names none", (path) => {
    expect(parseTilePath(path)).toBeUndefined();
  });

  test("read back what was written", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 63 }),
        fc.nat(10 ** 12),
        fc.integer({ min: 1, max: 256 }),
        (level, index, width) => {
          expect(parseTilePath(tilePath({ level, index, width }))).toEqual({ level, index, width });
        },
      ),
    );
  });
});

describe("tiles", () => {
  test("of a tree of 70,000 are those of the specification's example", () => {
    expect(tileWidthAt(0, 272, 70_000)).toBe(256);
    expect(tileWidthAt(0, 273, 70_000)).toBe(112);
    expect(tileWidthAt(0, 274, 70_000)).toBe(0);
    expect(tileWidthAt(1, 0, 70_000)).toBe(256);
    expect(partialTiles(70_000)).toEqual([
      { level: 0, index: 273, width: 112 },
      { level: 1, index: 1, width: 17 },
      { level: 2, index: 0, width: 1 },
    ]);
    expect(partialTiles(256)).toEqual([{ level: 1, index: 0, width: 1 }]);
    expect(partialTiles(0)).toEqual([]);
  });

  test("give the hash of every complete subtree in them", () => {
    const hashes = Array.from({ length: 256 }, (_, i) => leafHash(new Uint8Array([i])));
    for (const width of [256, 200, 1]) {
      const tree = tileTree(joinHashes(hashes.slice(0, width)));
      for (let height = 0; height < 8; height++) {
        for (let at = 0; (at + 1) * 2 ** height <= width; at++) {
          const node = { level: 8 + height, index: (3 * 256) / 2 ** height + at };
          expect(tileOfNode(node)).toEqual({ level: 1, index: 3 });
          const expected = merkleRoot(hashes.slice(at * 2 ** height, (at + 1) * 2 ** height));
          expect(sameBytes(hashInTile(tree, node) ?? new Uint8Array(), expected)).toBe(true);
        }
      }
    }
    expect(hashInTile(tileTree(joinHashes(hashes.slice(0, 3))), { level: 1, index: 1 })).toBeUndefined();
  });

  test("are octets and hashes alike", () => {
    const hashes = [leafHash(new Uint8Array([1])), leafHash(new Uint8Array([2]))];
    expect(splitHashes(joinHashes(hashes))).toEqual(hashes);
    for (const bytes of [0, 31, 33, 257 * 32]) expect(splitHashes(new Uint8Array(bytes))).toBeUndefined();
  });
});

describe("entry bundles", () => {
  test("read back what was written", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 256 }), (entries) => {
        expect(parseEntryBundle(formatEntryBundle(entries))).toEqual(entries);
      }),
    );
  });

  test("hold entries of up to 65,535 bytes after their big-endian length", () => {
    expect(formatEntryBundle([new Uint8Array([7, 8])])).toEqual(new Uint8Array([0, 2, 7, 8]));
    expect(parseEntryBundle(formatEntryBundle([new Uint8Array(65_535)]))?.[0]?.length).toBe(65_535);
    expect(() => formatEntryBundle([new Uint8Array(65_536)])).toThrow(RangeError);
  });

  test("that end within an entry are refused", () => {
    expect(parseEntryBundle(new Uint8Array([0]))).toBeUndefined();
    expect(parseEntryBundle(new Uint8Array([0, 2, 7]))).toBeUndefined();
    expect(parseEntryBundle(new Uint8Array(2 * 257))).toBeUndefined();
  });
});
