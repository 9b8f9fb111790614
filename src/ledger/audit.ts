import {
  emptyFrontier,
  extendFrontier,
  type Frontier,
  type FullTile,
  frontierRoot,
} from "@countersign/sdk/tlog/frontier";
import { leafHash, sameBytes } from "@countersign/sdk/tlog/rfc6962";
import { tileWidth } from "@countersign/sdk/tlog/tile";
import { DomainError } from "../domain/domain-error.ts";
import type { Database } from "../store/database.ts";
import { readEntries, type StoredEntry } from "../store/ledger-entries.ts";
import type { StoredLog } from "../store/logs.ts";
import { findTile, type StoredTile } from "../store/tiles.ts";
import { sha256 } from "./sha256.ts";
import { toStoredTile } from "./tiles.ts";

const entriesAtOnce = 4 * tileWidth;

/**
 * Hashes every entry of a log anew: the root of the whole tree and of the trees of the given sizes, by size.
 *
 * @param onWrongTile told of each full tile of the published tree that is missing or not what the entries make
 * @throws DomainError `internal` naming the first entry that is missing or is not what was committed
 */
export async function auditLog(
  db: Database,
  log: StoredLog,
  sizes: readonly number[],
  onWrongTile: (tile: StoredTile) => Promise<void>,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const stops = [...new Set([...sizes, log.nextIndex])]
    .filter((size) => size <= log.nextIndex)
    .sort((a, b) => a - b);
  const roots = new Map<number, Uint8Array>();
  let frontier: Frontier = emptyFrontier;
  for (const stop of stops) {
    while (frontier.size < stop) {
      const to = Math.min(stop, frontier.size + entriesAtOnce);
      const entries = await readEntries(db, log.id, frontier.size, to);
      const grown = extendFrontier(frontier, leavesOf(log, entries, frontier.size, to), sha256);
      for (const tile of grown.tiles) await checkTile(db, log, tile, onWrongTile);
      frontier = grown.frontier;
    }
    roots.set(stop, frontierRoot(frontier, sha256));
  }
  return roots;
}

function leavesOf(log: StoredLog, entries: readonly StoredEntry[], from: number, to: number): Uint8Array[] {
  const leaves = entries.map(({ index, entry, leafHash: stored }, i) => {
    if (index !== from + i) throw damagedEntry(log, from + i, "is missing");
    const leaf = leafHash(Buffer.from(entry, "utf8"), sha256);
    if (!sameBytes(leaf, stored)) throw damagedEntry(log, index, "is not what was committed");
    return leaf;
  });
  if (leaves.length < to - from) throw damagedEntry(log, from + leaves.length, "is missing");
  return leaves;
}

function damagedEntry(log: StoredLog, index: number, what: string): DomainError {
  return new DomainError(
    "internal",
    `entry ${index} of log ${log.id} ${what}; get it back from a backup or an export`,
  );
}

async function checkTile(
  db: Database,
  log: StoredLog,
  tile: FullTile,
  onWrongTile: (tile: StoredTile) => Promise<void>,
): Promise<void> {
  // Tiles beyond the checkpoint are written when they are published.
  if ((tile.index + 1) * tileWidth ** (tile.level + 1) > log.publishedSize) return;
  const expected = toStoredTile(tile);
  const found = await findTile(db, log.id, tile.level, tile.index);
  const right =
    found !== undefined && sameBytes(found.hashes, expected.hashes) && sameBytes(found.root, expected.root);
  if (!right) await onWrongTile(expected);
}
