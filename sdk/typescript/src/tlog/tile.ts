import { hashBytes, nodePreimage, type Sha256, sha256 } from "./rfc6962.ts";
import type { TreeNode } from "./tree-node.ts";

/** Hashes in a full tile. @see C2SP tlog-tiles, "Merkle Tree" */
export const tileWidth = 256;

/** A tile of hashes, or of entries beside the tiles of level 0. */
export interface TileName {
  readonly level: number | "entries";
  readonly index: number;
  /** How many hashes or entries it holds: 256 when full, 1 to 255 when partial. */
  readonly width: number;
}

const levelMax = 63;
/** Levels of the tree that one level of tiles stands for. */
const tileHeight = 8;

/** The path of a tile below a log's prefix, `tile/0/x001/x234/067.p/5`. @see C2SP tlog-tiles, "Merkle Tree" */
export function tilePath({ level, index, width }: TileName): string {
  let path = String(index % 1000).padStart(3, "0");
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    path = `x${String(rest % 1000).padStart(3, "0")}/${path}`;
  }
  return `tile/${level}/${path}${width === tileWidth ? "" : `.p/${width}`}`;
}

/** The tile that a path names, or undefined when it names none: every tile has one path. */
export function parseTilePath(path: string): TileName | undefined {
  const match =
    /^tile\/(entries|0|[1-9][0-9]?)\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/.exec(path);
  const [, levelText, indexText, widthText] = match ?? [];
  if (levelText === undefined || indexText === undefined) return undefined;
  const level: TileName["level"] = levelText === "entries" ? "entries" : Number(levelText);
  const index = Number(indexText.replaceAll(/[x/]/g, ""));
  const width = widthText === undefined ? tileWidth : Number(widthText);
  const name = { level, index, width };
  if (level !== "entries" && level > levelMax) return undefined;
  // Writing it again also refuses a superfluous `x000` and a partial tile of 256 or more.
  return width <= tileWidth && tilePath(name) === path ? name : undefined;
}

/** How many hashes the tile has in a tree of this size: 0 when it does not exist yet, 256 when it is full. */
export function tileWidthAt(level: number, index: number, size: number): number {
  const hashes = Math.floor(size / tileWidth ** level);
  return Math.min(Math.max(hashes - index * tileWidth, 0), tileWidth);
}

/** The tiles that are partial in a tree of this size, from the leaves upwards. */
export function partialTiles(size: number): { level: number; index: number; width: number }[] {
  const partial = [];
  for (let level = 0, hashes = size; hashes > 0; level++, hashes = Math.floor(hashes / tileWidth)) {
    const width = hashes % tileWidth;
    if (width > 0) partial.push({ level, index: Math.floor(hashes / tileWidth), width });
  }
  return partial;
}

/** The tile from which a complete subtree's hash can be computed. */
export function tileOfNode(node: TreeNode): { level: number; index: number } {
  const level = Math.floor(node.level / tileHeight);
  const height = node.level % tileHeight;
  return { level, index: Math.floor((node.index * 2 ** height) / tileWidth) };
}

/** A tile with all that can be computed from it, so that proofs only look hashes up. */
export interface TileTree {
  readonly width: number;
  /** First the tile's own hashes, then the roots of its complete subtrees of height 1, 2, …, each from left to right. */
  readonly hashes: Uint8Array;
}

/** Computes the inner hashes of a tile, full or partial. `octets` is the tile as it is served. */
export function tileTree(octets: Uint8Array, hash: Sha256 = sha256): TileTree {
  const width = octets.length / hashBytes;
  const hashes = new Uint8Array(rowStart(width, tileHeight + 1) * hashBytes);
  hashes.set(octets);
  // Two children lie side by side, so that both are copied at once into one preimage for all.
  const preimage = nodePreimage();
  for (let height = 1; height <= tileHeight; height++) {
    const start = rowStart(width, height) * hashBytes;
    const below = rowStart(width, height - 1) * hashBytes;
    for (let at = 0; at < rowWidth(width, height) * hashBytes; at += hashBytes) {
      preimage.set(hashes.subarray(below + 2 * at, below + 2 * at + 2 * hashBytes), 1);
      hashes.set(hash(preimage), start + at);
    }
  }
  return { width, hashes };
}

/** The hash of a complete subtree out of its tile, or undefined when the tile is too narrow for it. */
export function hashInTile({ width, hashes }: TileTree, node: TreeNode): Uint8Array | undefined {
  const height = node.level % tileHeight;
  const place = node.index % rowWidth(tileWidth, height);
  if (place >= rowWidth(width, height)) return undefined;
  const start = (rowStart(width, height) + place) * hashBytes;
  return hashes.subarray(start, start + hashBytes);
}

function rowWidth(width: number, height: number): number {
  return Math.floor(width / 2 ** height);
}

function rowStart(width: number, height: number): number {
  let start = 0;
  for (let below = 0; below < height; below++) start += rowWidth(width, below);
  return start;
}

/** Divides a tile's octets into its hashes, or undefined when they are no tile. */
export function splitHashes(octets: Uint8Array): Uint8Array[] | undefined {
  const width = octets.length / hashBytes;
  if (!Number.isInteger(width) || width < 1 || width > tileWidth) return undefined;
  return Array.from({ length: width }, (_, i) => octets.subarray(i * hashBytes, (i + 1) * hashBytes));
}

/** The octets of a tile with these hashes. */
export function joinHashes(hashes: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const octets = new Uint8Array(hashes.length * hashBytes);
  hashes.forEach((one, i) => {
    octets.set(one, i * hashBytes);
  });
  return octets;
}
