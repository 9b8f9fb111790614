import { createHash, hash as nodeHashOf } from "node:crypto";
import { emptyFrontier, extendFrontier, frontierRoot } from "@countersign/sdk/tlog/frontier";
import {
  planConsistency,
  planInclusion,
  proofOf,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from "@countersign/sdk/tlog/proof";
import { emptyRoot, leafHash, merkleRoot, sameBytes } from "@countersign/sdk/tlog/rfc6962";
import type { TreeNode } from "@countersign/sdk/tlog/tree-node";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sigstoreAcceptsInclusion } from "./sigstore-oracle.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

// The eight leaves, their roots and proofs that Certificate Transparency's implementations are tested with.
const leaves = [
  "",
  "00",
  "10",
  "2021",
  "3031",
  "40414243",
  "5051525354555657",
  "606162636465666768696a6b6c6d6e6f",
];
const roots = [
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const inclusionVectors: [index: number, size: number, proof: string[]][] = [
  [0, 1, []],
  [
    0,
    8,
    [
      "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
  ],
  [
    5,
    8,
    [
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
  ],
  [2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]],
];
const consistencyVectors: [from: number, to: number, proof: string[]][] = [
  [1, 1, []],
  [
    1,
    8,
    [
      "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
  ],
  [
    6,
    8,
    [
      "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
  ],
  [
    2,
    5,
    [
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
  ],
];

/** RFC 6962, section 2.1, word for word: what everything else is held against. */
function merkleTreeHash(entries: readonly Uint8Array[]): Uint8Array {
  const [only] = entries;
  if (only === undefined) return createHash("sha256").digest();
  if (entries.length === 1) return createHash("sha256").update("\x00").update(only).digest();
  let split = 1;
  while (split * 2 < entries.length) split *= 2;
  const left = merkleTreeHash(entries.slice(0, split));
  const right = merkleTreeHash(entries.slice(split));
  return createHash("sha256").update("\x01").update(left).update(right).digest();
}

const entriesOf = (size: number) =>
  Array.from({ length: size }, (_, i) => new TextEncoder().encode(`leaf ${i}`));
const nodesOf = (entries: readonly Uint8Array[]) => (node: TreeNode) => {
  const width = 2 ** node.level;
  return merkleTreeHash(entries.slice(node.index * width, (node.index + 1) * width));
};

describe("the tree of RFC 6962", () => {
  test("hashes the published leaves to the published roots", () => {
    expect(hex(emptyRoot())).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const hashes = leaves.map((leaf) => leafHash(bytesOf(leaf)));
    for (const [i, root] of roots.entries()) {
      expect(hex(merkleRoot(hashes.slice(0, i + 1)))).toBe(root);
      expect(hex(frontierRoot(extendFrontier(emptyFrontier, hashes.slice(0, i + 1)).frontier))).toBe(root);
    }
  });

  test.each(inclusionVectors)(
    "makes and accepts the published proof of leaf %i in a tree of %i",
    (index, size, proof) => {
      const made = proofOf(planInclusion(index, size), nodesOf(leaves.map(bytesOf)));
      expect(made.map(hex)).toEqual(proof);
      const root = bytesOf(roots[size - 1] ?? "");
      const leaf = leafHash(bytesOf(leaves[index] ?? ""));
      expect(verifyInclusion({ index, size, leafHash: leaf, root, proof: made })).toBe(true);
    },
  );

  test.each(consistencyVectors)(
    "makes and accepts the published proof that tree %i begins tree %i",
    (from, to, proof) => {
      const made = proofOf(planConsistency(from, to), nodesOf(leaves.map(bytesOf)));
      expect(made.map(hex)).toEqual(proof);
      const fromRoot = bytesOf(roots[from - 1] ?? "");
      const toRoot = bytesOf(roots[to - 1] ?? "");
      expect(verifyConsistency({ from, fromRoot, to, toRoot, proof: made })).toBe(true);
    },
  );

  test("has one root, whether grown leaf by leaf, at once or in any pieces, and whatever SHA-256 is used", () => {
    const hashes = entriesOf(70_000).map((entry) =>
      leafHash(entry, (bytes) => nodeHashOf("sha256", bytes, "buffer")),
    );
    const expected = frontierRoot(extendFrontier(emptyFrontier, hashes).frontier);
    expect(sameBytes(expected, merkleRoot(hashes))).toBe(true);
    let grown = emptyFrontier;
    let tiles = 0;
    for (let at = 0; at < hashes.length; at += 997) {
      const step = extendFrontier(grown, hashes.slice(at, at + 997));
      tiles += step.tiles.length;
      grown = step.frontier;
    }
    expect(sameBytes(frontierRoot(grown), expected)).toBe(true);
    // C2SP tlog-tiles' own example of a tree of 70,000.
    expect(tiles).toBe(273 + 1);
    expect(grown.levels.map((level) => level.length)).toEqual([112, 17, 1]);
  });
});

describe("proofs", () => {
  test("of every leaf in every small tree are accepted by us and by sigstore", () => {
    for (let size = 1; size <= 40; size++) {
      const entries = entriesOf(size);
      const root = merkleTreeHash(entries);
      expect(hex(rootOf(size, nodesOf(entries)))).toBe(hex(root));
      for (const [index, entry] of entries.entries()) {
        const proof = proofOf(planInclusion(index, size), nodesOf(entries));
        expect(verifyInclusion({ index, size, leafHash: leafHash(entry), root, proof })).toBe(true);
        expect(sigstoreAcceptsInclusion({ index, size, entry, root, proof })).toBe(true);
      }
    }
  });

  test("that one tree begins another are accepted for every pair of small trees", () => {
    const entries = entriesOf(40);
    for (let to = 0; to <= 40; to++) {
      const toRoot = merkleTreeHash(entries.slice(0, to));
      for (let from = 0; from <= to; from++) {
        const fromRoot = merkleTreeHash(entries.slice(0, from));
        const proof = proofOf(planConsistency(from, to), nodesOf(entries));
        expect(verifyConsistency({ from, fromRoot, to, toRoot, proof })).toBe(true);
      }
    }
  });

  test("are refused when anything in them is changed", () => {
    const entries = entriesOf(200);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }).chain((size) => fc.tuple(fc.nat(size - 1), fc.constant(size))),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        ([index, size], place, change) => {
          const root = merkleTreeHash(entries.slice(0, size));
          const proof = proofOf(planInclusion(index, size), nodesOf(entries));
          const leaf = leafHash(entries[index] ?? new Uint8Array());
          const claim = { index, size, leafHash: leaf, root, proof };
          const flip = (bytes: Uint8Array) =>
            bytes.map((byte, i) => (i === place % 32 ? byte ^ change : byte));
          const wrong = proof.map((hash, i) => (i === place % proof.length ? flip(hash) : hash));
          expect(verifyInclusion(claim)).toBe(true);
          if (proof.length > 0) expect(verifyInclusion({ ...claim, proof: wrong })).toBe(false);
          expect(verifyInclusion({ ...claim, leafHash: flip(leaf) })).toBe(false);
          expect(verifyInclusion({ ...claim, root: flip(root) })).toBe(false);
          expect(verifyInclusion({ ...claim, proof: [...proof, leaf] })).toBe(false);
          if (proof.length > 0) expect(verifyInclusion({ ...claim, proof: proof.slice(1) })).toBe(false);
          expect(verifyInclusion({ ...claim, index: size })).toBe(false);
          expect(verifyInclusion({ ...claim, index: -1 })).toBe(false);
          expect(verifyInclusion({ ...claim, index: index + 0.5 })).toBe(false);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("that one tree begins another are refused when anything in them is changed", () => {
    const entries = entriesOf(100);
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 100 }), fc.nat(), fc.nat(), (to, fromSeed, place) => {
        const from = 1 + (fromSeed % (to - 1));
        const fromRoot = merkleTreeHash(entries.slice(0, from));
        const toRoot = merkleTreeHash(entries.slice(0, to));
        const proof = proofOf(planConsistency(from, to), nodesOf(entries));
        const claim = { from, fromRoot, to, toRoot, proof };
        const wrong = proof.map((hash, i) =>
          i === place % proof.length ? fromRoot.map((byte) => byte ^ 1) : hash,
        );
        expect(verifyConsistency({ ...claim, proof: wrong })).toBe(false);
        expect(verifyConsistency({ ...claim, fromRoot: toRoot })).toBe(false);
        expect(verifyConsistency({ ...claim, toRoot: fromRoot })).toBe(false);
        expect(verifyConsistency({ ...claim, proof: proof.slice(1) })).toBe(false);
        expect(verifyConsistency({ ...claim, proof: [...proof, toRoot] })).toBe(false);
        expect(verifyConsistency({ ...claim, from: to, to: from })).toBe(false);
      }),
      { numRuns: 100 },
    );
  });

  test("are not planned for what is not in the tree", () => {
    expect(() => planInclusion(3, 3)).toThrow(RangeError);
    expect(() => planInclusion(-1, 3)).toThrow(RangeError);
    expect(() => planConsistency(4, 3)).toThrow(RangeError);
    expect(() => planConsistency(0.5, 3)).toThrow(RangeError);
  });

  test("are exact for trees of more than 2^32 entries", () => {
    const size = 2 ** 40 + 5;
    const hashOf = ({ level, index }: TreeNode) => leafHash(new TextEncoder().encode(`${level}/${index}`));
    // Not a real tree: its inner hashes are made up, yet everything above them must fit together.
    const plan = planInclusion(2 ** 40 + 4, size);
    const root = rootOf(size, hashOf);
    const leaf = hashOf({ level: 0, index: 2 ** 40 + 4 });
    const claim = { index: 2 ** 40 + 4, size, leafHash: leaf, root, proof: proofOf(plan, hashOf) };
    expect(verifyInclusion(claim)).toBe(true);
  });
});
