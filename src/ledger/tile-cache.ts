import type { LogId } from "@countersign/sdk/model/ids";
import { type TileTree, tileTree } from "@countersign/sdk/tlog/tile";
import type { Database } from "../store/database.ts";
import { sha256 } from "./sha256.ts";
import { readTile, type TileKey } from "./tiles.ts";

/** Tiles with their inner hashes. A tile of a given width never changes while its log is not recovered. */
export interface TileCache {
  readonly load: (log: LogId, tile: TileKey) => Promise<TileTree>;
  /** Forgets a log's tiles: another process may have recovered it. */
  readonly forget: (log: LogId) => void;
}

/** 16 KiB each. */
const tilesMax = 1024;

/** Makes a cache that keeps the tiles that were used last. */
export function createTileCache(db: Database): TileCache {
  const tiles = new Map<string, Promise<TileTree>>();

  async function load(log: LogId, tile: TileKey): Promise<TileTree> {
    const key = `${log} ${tile.level}/${tile.index}.${tile.width}`;
    const loading = tiles.get(key) ?? readTile(db, log, tile).then((octets) => tileTree(octets, sha256));
    // Put in again, a tile is the last to be dropped.
    tiles.delete(key);
    tiles.set(key, loading);
    const [oldest] = tiles.keys();
    if (tiles.size > tilesMax && oldest !== undefined) tiles.delete(oldest);
    try {
      return await loading;
    } catch (error) {
      tiles.delete(key);
      throw error;
    }
  }

  function forget(log: LogId): void {
    for (const key of tiles.keys()) if (key.startsWith(`${log} `)) tiles.delete(key);
  }

  return { load, forget };
}
