import type { AgentId, LogId } from "@countersign/sdk/model/ids";
import type { AgentHistory } from "../domain/agent.ts";
import type { FollowerBatch } from "../domain/follower.ts";
import type { Database } from "./database.ts";
import { findCursor, moveCursor } from "./follower-cursors.ts";

/** Which part of a history is wanted: at most `limit` entries before an index. */
export interface HistoryPage {
  readonly before?: number | undefined;
  readonly limit: number;
}

/**
 * The entries of a log in which an Agent is the one that acted, or one of those that were issued SVIDs, newest first, as far as their follower has come. Costs
 * the same however long the log is; what it says is for orientation, the entries themselves are what can be proven.
 */
export async function readAgentHistory(
  db: Database,
  log: LogId,
  agent: AgentId,
  { before, limit }: HistoryPage,
): Promise<AgentHistory> {
  const asOf = await findCursor(db, "agent-history", log);
  const rows = await db.prisma.$queryRaw<{ index: bigint; entry: string }[]>`
    SELECT e.index, e.entry
    FROM agent_entry a JOIN ledger_entry e ON e.log_id = a.log_id AND e.index = a.index
    WHERE a.agent_id = ${agent} AND a.log_id = ${log} AND a.index < ${BigInt(Math.min(before ?? asOf, asOf))}
    ORDER BY a.index DESC LIMIT ${limit}`;
  return { entries: rows.map(({ index, entry }) => ({ index: Number(index), entry })), asOf };
}

/**
 * Notes which Agent acted in each entry of the batch, or got an SVID by it, and moves the cursor with it.
 *
 * @returns whether it moved; if not, somebody else has noted the batch
 */
export async function addAgentEntries(db: Database, batch: FollowerBatch): Promise<boolean> {
  return await db.prisma.$transaction(async (tx) => {
    if (!(await moveCursor(tx, batch))) return false;
    await tx.$executeRaw`
      WITH acted AS MATERIALIZED (
        SELECT entry::json ->> 'agent' AS agent, index,
          CASE WHEN strpos(entry, '"svids":[') > 0 THEN entry::json -> 'svids' END AS svids
        FROM ledger_entry
        WHERE log_id = ${batch.log} AND index >= ${BigInt(batch.from)} AND index < ${BigInt(batch.to)})
      INSERT INTO agent_entry (agent_id, log_id, index)
      SELECT agent, ${batch.log}, index FROM acted WHERE agent IS NOT NULL
      UNION
      SELECT svid ->> 'agent', ${batch.log}, index FROM acted, json_array_elements(svids) AS svid`;
    return true;
  });
}
