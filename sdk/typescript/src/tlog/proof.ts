import { emptyRoot, nodeHash, type Sha256, sameBytes, sha256 } from "./rfc6962.ts";
import { completeSubtrees, isTreeSize, splitPoint, type TreeNode } from "./tree-node.ts";

/** For each hash of a proof, the complete subtrees that it folds together: what must be read to make the proof. */
export type ProofPlan = readonly (readonly TreeNode[])[];

/**
 * What proves that the entry at `index` is in the tree of `size` entries.
 *
 * @throws RangeError when it is not
 * @see RFC 6962, section 2.1.1
 */
export function planInclusion(index: number, size: number): ProofPlan {
  if (!isTreeSize(size) || !isTreeSize(index) || index >= size)
    throw new RangeError("the index is not in the tree");
  const plan: TreeNode[][] = [];
  for (let start = 0, end = size; end - start > 1; ) {
    const split = start + splitPoint(end - start);
    if (index < split) {
      plan.unshift(completeSubtrees(split, end));
      end = split;
    } else {
      plan.unshift(completeSubtrees(start, split));
      start = split;
    }
  }
  return plan;
}

/**
 * What proves that the tree of `from` entries is a prefix of the tree of `to` entries.
 *
 * @throws RangeError unless 0 ≤ from ≤ to
 * @see RFC 6962, section 2.1.2
 */
export function planConsistency(from: number, to: number): ProofPlan {
  if (!isTreeSize(from) || !isTreeSize(to) || from > to)
    throw new RangeError("the first tree is not the smaller");
  if (from === 0 || from === to) return [];
  const plan: TreeNode[][] = [];
  let start = 0;
  let end = to;
  while (from !== end) {
    const split = start + splitPoint(end - start);
    if (from <= split) {
      plan.unshift(completeSubtrees(split, end));
      end = split;
    } else {
      plan.unshift(completeSubtrees(start, split));
      start = split;
    }
  }
  // The whole first tree needs no hash: whoever checks the proof has its root.
  if (start > 0) plan.unshift(completeSubtrees(start, end));
  return plan;
}

/** Makes the proof that was planned. `hashOf` gives the hash of a complete subtree. */
export function proofOf(
  plan: ProofPlan,
  hashOf: (node: TreeNode) => Uint8Array,
  hash: Sha256 = sha256,
): Uint8Array[] {
  return plan.map((nodes) => foldNodes(nodes.map(hashOf), hash));
}

/** The root of the tree of `size` entries. `hashOf` gives the hash of a complete subtree. */
export function rootOf(
  size: number,
  hashOf: (node: TreeNode) => Uint8Array,
  hash: Sha256 = sha256,
): Uint8Array {
  return size === 0 ? emptyRoot(hash) : foldNodes(completeSubtrees(0, size).map(hashOf), hash);
}

function foldNodes(hashes: readonly Uint8Array[], hash: Sha256): Uint8Array {
  return hashes.reduceRight((right, left) => nodeHash(left, right, hash));
}

/** A claim that an entry is in a tree. */
export interface Inclusion {
  readonly index: number;
  readonly size: number;
  readonly leafHash: Uint8Array;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** Whether the proof shows that the leaf is at this index of the tree with this root. @see RFC 9162, section 2.1.3.2 */
export function verifyInclusion(
  { index, size, leafHash, root, proof }: Inclusion,
  hash: Sha256 = sha256,
): boolean {
  if (!isTreeSize(index) || !isTreeSize(size) || index >= size) return false;
  let computed = leafHash;
  let at = index;
  let last = size - 1;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      computed = nodeHash(sibling, computed, hash);
      // The right edge has no sibling at the levels where it stands alone.
      while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)];
    } else {
      computed = nodeHash(computed, sibling, hash);
    }
    [at, last] = [half(at), half(last)];
  }
  return last === 0 && sameBytes(computed, root);
}

/** A claim that one tree is the beginning of another. */
export interface Consistency {
  readonly from: number;
  readonly fromRoot: Uint8Array;
  readonly to: number;
  readonly toRoot: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** Whether the proof shows that the second tree only adds to the first. @see RFC 9162, section 2.1.4.2 */
export function verifyConsistency(claim: Consistency, hash: Sha256 = sha256): boolean {
  const { from, fromRoot, to, toRoot, proof } = claim;
  if (!isTreeSize(from) || !isTreeSize(to) || from > to) return false;
  if (from === to) return proof.length === 0 && sameBytes(fromRoot, toRoot);
  if (from === 0) return proof.length === 0 && sameBytes(fromRoot, emptyRoot(hash));
  let at = from - 1;
  let last = to - 1;
  while (at % 2 === 1) [at, last] = [half(at), half(last)];
  const [seed, ...path] = at === 0 ? [fromRoot, ...proof] : proof;
  if (seed === undefined) return false;
  let first = seed;
  let second = seed;
  for (const sibling of path) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      first = nodeHash(sibling, first, hash);
      second = nodeHash(sibling, second, hash);
      while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)];
    } else {
      second = nodeHash(second, sibling, hash);
    }
    [at, last] = [half(at), half(last)];
  }
  return last === 0 && sameBytes(first, fromRoot) && sameBytes(second, toRoot);
}

/** Trees may have more than 2^32 entries, beyond which bit operators are not exact. */
function half(number: number): number {
  return Math.floor(number / 2);
}
