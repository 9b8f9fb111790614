import type { LogId } from "@countersign/sdk/model/ids";
import { emptyFrontier, extendFrontier, type Frontier, type FullTile } from "@countersign/sdk/tlog/frontier";
import { joinHashes, partialTiles, splitHashes, tileWidth, tileWidthAt } from "@countersign/sdk/tlog/tile";
import { DomainError } from "../domain/domain-error.ts";
import type { Database } from "../store/database.ts";
import { readLeafHashes } from "../store/ledger-entries.ts";
import type { StoredLog } from "../store/logs.ts";
import { findTile, readTileRoots, type StoredTile } from "../store/tiles.ts";
import { sha256 } from "./sha256.ts";

/** Leaves that are read at once: 2 MiB of hashes, 256 tiles. */
export const leavesAtOnce = 65_536;

/** That the database does not hold what it must hold. What exactly goes to the operators' log, not to the caller. */
export function ledgerDamaged(log: LogId, what: string): DomainError {
  return new DomainError("internal", "the ledger does not hold together", new Error(`log ${log}: ${what}`));
}

/** Which tile, and how much of it. */
export interface TileKey {
  readonly level: number;
  readonly index: number;
  /** 256, or fewer on the right edge of a tree. */
  readonly width: number;
}

/**
 * A tile's octets out of the database: a full one as it is stored; a partial one made of the leaves, or of the roots
 * of the tiles below it. Undefined when something of it is not there.
 */
export async function findTileOctets(
  db: Database,
  log: LogId,
  tile: TileKey,
): Promise<Uint8Array | undefined> {
  const { level, index, width } = tile;
  if (width === tileWidth) return (await findTile(db, log, level, index))?.hashes;
  const start = index * tileWidth;
  return level === 0
    ? readLeafHashes(db, log, start, start + width)
    : readTileRoots(db, log, level - 1, start, start + width);
}

/** The tile's octets. @throws DomainError `internal` when they are not there */
export async function readTile(db: Database, log: LogId, tile: TileKey): Promise<Uint8Array> {
  const octets = await findTileOctets(db, log, tile);
  if (octets?.length !== tile.width * 32) {
    throw ledgerDamaged(log, `tile ${tile.level}/${tile.index} of ${tile.width} is not there`);
  }
  return octets;
}

/**
 * The right edge of the tree as it was at this size, which is at most the number of committed entries.
 *
 * @throws DomainError `internal` when the database lacks what the tree is made of
 */
export async function frontierAt(db: Database, log: StoredLog, size: number): Promise<Frontier> {
  const tiled = Math.min(size, log.publishedSize);
  const levels: Uint8Array[][] = [];
  for (const { level, index, width } of partialTiles(tiled)) {
    // A tile that was filled since is read whole: the entries below it may be archived.
    const filled = tileWidthAt(level, index, log.publishedSize) === tileWidth;
    const octets = await readTile(db, log.id, { level, index, width: filled ? tileWidth : width });
    levels[level] = splitHashes(octets.subarray(0, width * 32)) ?? [];
  }
  let frontier: Frontier =
    tiled === 0 ? emptyFrontier : { size: tiled, levels: Array.from(levels, (level) => level ?? []) };
  while (frontier.size < size) {
    frontier = (await growFrontier(db, log.id, frontier, Math.min(size, frontier.size + leavesAtOnce)))
      .frontier;
  }
  return frontier;
}

/**
 * Lets the tree grow to this size by the entries that the database holds.
 *
 * @throws DomainError `internal` when their indices are not consecutive
 */
export async function growFrontier(
  db: Database,
  log: LogId,
  frontier: Frontier,
  size: number,
): Promise<{ frontier: Frontier; tiles: FullTile[] }> {
  const octets = await readLeafHashes(db, log, frontier.size, size);
  if (octets === undefined) throw ledgerDamaged(log, `entries ${frontier.size} to ${size} are not all there`);
  return extendFrontier(frontier, leavesOf(octets), sha256);
}

function* leavesOf(octets: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < octets.length; at += 32) yield octets.subarray(at, at + 32);
}

/** A filled tile as it is stored. */
export function toStoredTile({ level, index, hashes, root }: FullTile): StoredTile {
  return { level, index, hashes: joinHashes(hashes), root };
}
