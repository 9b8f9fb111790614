import type { LogId } from "@countersign/sdk/model/ids";
import type { Database } from "./database.ts";

/** A full tile. `hashes` are 256 hashes of 32 bytes; `root` is the hash that stands for them one level above. */
export interface StoredTile {
  readonly level: number;
  readonly index: number;
  readonly hashes: Uint8Array;
  readonly root: Uint8Array;
}

/** A full tile, or undefined. */
export async function findTile(
  db: Database,
  log: LogId,
  level: number,
  index: number,
): Promise<Pick<StoredTile, "hashes" | "root"> | undefined> {
  const [row] = await db.prisma.$queryRaw<Pick<StoredTile, "hashes" | "root">[]>`
    SELECT hashes, root FROM tile WHERE log_id = ${log} AND level = ${level}::int AND index = ${BigInt(index)}`;
  return row;
}

/** The roots of full tiles [from, to) of a level, one after the other; undefined when not all of them are there. */
export async function readTileRoots(
  db: Database,
  log: LogId,
  level: number,
  from: number,
  to: number,
): Promise<Uint8Array | undefined> {
  const [row] = await db.prisma.$queryRaw<{ count: number; roots: Uint8Array | null }[]>`
    SELECT count(*)::int AS count, string_agg(root, ''::bytea ORDER BY index) AS roots
    FROM tile WHERE log_id = ${log} AND level = ${level}::int AND index >= ${BigInt(from)} AND index < ${BigInt(to)}
      AND octet_length(root) = 32`;
  return row?.count === to - from ? (row.roots ?? new Uint8Array(0)) : undefined;
}

/** Writes full tiles, over what stood there. For recovery: a publication writes its own. */
export async function writeTiles(db: Database, log: LogId, tiles: readonly StoredTile[]): Promise<void> {
  await db.prisma.$executeRaw`
    INSERT INTO tile (log_id, level, index, hashes, root)
    SELECT ${log}, t.level, t.index, decode(t.hashes, 'base64'), decode(t.root, 'base64')
    FROM json_to_recordset(${formatTiles(tiles)}::json) AS t(level smallint, index bigint, hashes text, root text)
    ON CONFLICT (log_id, level, index) DO UPDATE SET hashes = excluded.hashes, root = excluded.root`;
}

/** Tiles as the one parameter of a statement. */
export function formatTiles(tiles: readonly StoredTile[]): string {
  const rows = tiles.map(({ level, index, hashes, root }) => ({
    level,
    index,
    hashes: Buffer.from(hashes).toString("base64"),
    root: Buffer.from(root).toString("base64"),
  }));
  return JSON.stringify(rows);
}
