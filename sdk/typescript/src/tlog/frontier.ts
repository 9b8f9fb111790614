import { emptyRoot, merkleRoot, type Sha256, sha256 } from "./rfc6962.ts";
import { tileWidth } from "./tile.ts";

/**
 * The right edge of a tree, all that is needed to let it grow and to say its root: the hashes of each level's partial
 * tile. At most 255 hashes a level, whatever the size.
 */
export interface Frontier {
  /** How many entries the tree has. */
  readonly size: number;
  /** From the leaves upwards; a hash of level n stands for 256^n entries. */
  readonly levels: readonly (readonly Uint8Array[])[];
}

/** A tile that will never change again. */
export interface FullTile {
  readonly level: number;
  readonly index: number;
  /** 256 hashes, from left to right. */
  readonly hashes: readonly Uint8Array[];
  /** What stands for it one level above. */
  readonly root: Uint8Array;
}

/** The right edge of the tree without entries. */
export const emptyFrontier: Frontier = { size: 0, levels: [] };

/**
 * Lets a tree grow by these leaves; the given frontier stays as it is.
 *
 * @returns the new right edge, and the tiles that were filled, each before the tile above it
 */
export function extendFrontier(
  frontier: Frontier,
  leafHashes: Iterable<Uint8Array>,
  hash: Sha256 = sha256,
): { frontier: Frontier; tiles: FullTile[] } {
  const levels = frontier.levels.map((hashes) => [...hashes]);
  const tiles: FullTile[] = [];
  let size = frontier.size;
  for (const leaf of leafHashes) {
    size++;
    let carried = leaf;
    for (let level = 0; ; level++) {
      levels[level] ??= [];
      const hashes = levels[level] ?? [];
      hashes.push(carried);
      if (hashes.length < tileWidth) break;
      carried = merkleRoot(hashes, hash);
      tiles.push({ level, index: size / tileWidth ** (level + 1) - 1, hashes, root: carried });
      levels[level] = [];
    }
  }
  return { frontier: { size, levels }, tiles };
}

/** The root of the tree with this right edge. @see RFC 6962, section 2.1 */
export function frontierRoot(frontier: Frontier, hash: Sha256 = sha256): Uint8Array {
  let root: Uint8Array | undefined;
  for (const hashes of frontier.levels) {
    // What lies to the right of a level's last whole hash is one smaller subtree.
    if (hashes.length > 0) root = merkleRoot(root === undefined ? hashes : [...hashes, root], hash);
  }
  return root ?? emptyRoot(hash);
}
