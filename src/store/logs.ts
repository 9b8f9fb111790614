import type { LogId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Database } from "./database.ts";
import type { Log as LogRow } from "./generated/client.ts";
import { storedAs, storedAsMaybe } from "./stored-as.ts";
import { formatTiles, type StoredTile } from "./tiles.ts";

/** A log's head and its last published checkpoint. */
export interface StoredLog {
  readonly id: LogId;
  /** Undefined for the installation's own log. */
  readonly organization: OrganizationId | undefined;
  readonly origin: string;
  /** Entries that were committed. */
  readonly nextIndex: number;
  /** Entries that the checkpoint covers. */
  readonly publishedSize: number;
  /** The signed note, verbatim; undefined before the first. */
  readonly checkpoint: string | undefined;
  /** Whether strangers may read its tiles and entries. */
  readonly public: boolean;
}

/** The log, or undefined. */
export async function findLog(db: Database, log: LogId): Promise<StoredLog | undefined> {
  const row = await db.prisma.log.findUnique({ where: { id: log } });
  return row === null ? undefined : logOfRow(row);
}

/** Every log, by id. */
export async function listLogs(db: Database): Promise<readonly StoredLog[]> {
  return (await db.prisma.log.findMany({ orderBy: { id: "asc" } })).map(logOfRow);
}

function logOfRow(row: LogRow): StoredLog {
  return {
    id: storedAs(row.id),
    organization: storedAsMaybe(row.organizationId),
    origin: row.origin,
    nextIndex: Number(row.nextIndex),
    publishedSize: Number(row.publishedSize),
    checkpoint: row.checkpoint ?? undefined,
    public: row.public,
  };
}

/** The logs with entries that no checkpoint covers, or with no checkpoint at all. */
export async function listUnpublishedLogs(db: Database): Promise<readonly LogId[]> {
  const rows = await db.prisma.$queryRaw<{ id: LogId }[]>`
    SELECT id FROM log WHERE published_size < next_index OR checkpoint IS NULL ORDER BY id`;
  return rows.map(({ id }) => id);
}

/** The NOTIFY channel that names each log whose checkpoint was published. */
export const publishedChannel = "countersign_published";

/** A checkpoint that takes the place of the one that was seen. */
export interface Publication {
  readonly log: LogId;
  readonly seen: Pick<StoredLog, "publishedSize" | "checkpoint">;
  readonly size: number;
  readonly checkpoint: string;
  /** The tiles that were filled since. */
  readonly tiles: readonly StoredTile[];
}

/**
 * Publishes a checkpoint with its tiles, in one statement, unless somebody else published meanwhile.
 *
 * @returns whether it was published
 */
export async function publishCheckpoint(db: Database, publication: Publication): Promise<boolean> {
  const { log, seen, size, checkpoint, tiles } = publication;
  const rows = await db.prisma.$queryRaw<unknown[]>`
    WITH head AS (
      UPDATE log SET published_size = ${BigInt(size)}, checkpoint = ${checkpoint}
      WHERE id = ${log} AND published_size = ${BigInt(seen.publishedSize)} AND next_index >= ${BigInt(size)}
        AND checkpoint IS NOT DISTINCT FROM ${seen.checkpoint ?? null}
      RETURNING id),
    tiles AS (
      INSERT INTO tile (log_id, level, index, hashes, root)
      SELECT head.id, t.level, t.index, decode(t.hashes, 'base64'), decode(t.root, 'base64')
      FROM head, json_to_recordset(${formatTiles(tiles)}::json)
        AS t(level smallint, index bigint, hashes text, root text)
      ON CONFLICT (log_id, level, index) DO UPDATE SET hashes = excluded.hashes, root = excluded.root)
    SELECT id, pg_notify(${publishedChannel}, id)::text AS told FROM head`;
  return rows.length === 1;
}

/** Forgets a log's checkpoint, so that it is published again from the first entry on. For recovery only. */
export async function unpublish(db: Database, log: LogId): Promise<void> {
  await db.prisma.log.update({ where: { id: log }, data: { publishedSize: 0, checkpoint: null } });
}
