/**
 * A complete subtree: the Merkle Tree Hash of the 2^level entries that begin at index × 2^level.
 * Complete subtrees never change as the tree grows, so every proof is made of them.
 */
export interface TreeNode {
  readonly level: number;
  readonly index: number;
}

/** Whether this is a number of entries that every computation here is exact for. */
export function isTreeSize(size: number): boolean {
  return Number.isSafeInteger(size) && size >= 0;
}

/** The largest power of two below `size`, where RFC 6962 splits a tree. `size` is at least 2. */
export function splitPoint(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}

/**
 * The complete subtrees, from left to right and from large to small, that entries [start, end) of a tree divide into
 * where `start` is one of its split points.
 */
export function completeSubtrees(start: number, end: number): TreeNode[] {
  const nodes: TreeNode[] = [];
  for (let at = start; at < end; ) {
    let level = 0;
    while (2 ** (level + 1) <= end - at) level++;
    nodes.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return nodes;
}
