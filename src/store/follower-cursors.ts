import type { LogId } from "@countersign/sdk/model/ids";
import type { FollowerBatch, FollowerName } from "../domain/follower.ts";
import type { Database } from "./database.ts";
import { Prisma } from "./generated/client.ts";

/** How many entries of the log the follower has handled. */
export async function findCursor(db: Database, follower: FollowerName, log: LogId): Promise<number> {
  const row = await db.prisma.followerCursor.findUnique({
    where: { follower_logId: { follower, logId: log } },
  });
  return Number(row?.nextIndex ?? 0);
}

/**
 * What the follower has to handle next in each of these logs, or in all, as far as the checkpoint covers it and
 * `entriesMax` at most.
 */
export async function listFollowerBatches(
  db: Database,
  follower: FollowerName,
  entriesMax: number,
  logs?: readonly LogId[],
): Promise<readonly FollowerBatch[]> {
  const rows = await db.prisma.$queryRaw<{ log: LogId; from: bigint; to: bigint }[]>`
    SELECT l.id AS log, n.index AS "from", least(n.index + ${entriesMax}, l.published_size) AS "to"
    FROM log l LEFT JOIN follower_cursor c ON c.log_id = l.id AND c.follower = ${follower}
    CROSS JOIN LATERAL (SELECT coalesce(c.next_index, 0) AS index) n
    WHERE n.index < l.published_size ${logs === undefined ? Prisma.empty : Prisma.sql`AND l.id = ANY(${logs})`} ORDER BY l.id`;
  return rows.map(({ log, from, to }) => ({ follower, log, from: Number(from), to: Number(to) }));
}

/**
 * Moves the follower's cursor past the batch by compare-and-set. One that is not there stands at 0.
 *
 * @returns whether it moved; if not, it no longer stood at the beginning: somebody else has handled the batch
 */
export async function moveCursor(
  tx: Pick<Prisma.TransactionClient, "$executeRaw">,
  { follower, log, from, to }: FollowerBatch,
): Promise<boolean> {
  const moved = await tx.$executeRaw`
    INSERT INTO follower_cursor AS c (follower, log_id, next_index) SELECT ${follower}, ${log}, ${BigInt(to)}
    WHERE ${from} = 0 OR EXISTS (SELECT FROM follower_cursor WHERE follower = ${follower} AND log_id = ${log})
    ON CONFLICT (follower, log_id) DO UPDATE SET next_index = excluded.next_index WHERE c.next_index = ${BigInt(from)}`;
  return moved === 1;
}
