import type { AgentId, LogId } from "@countersign/sdk/model/ids";
import type { AgentHistory } from "../domain/agent.ts";
import type { Database } from "./database.ts";

const entriesPerStep = 1000;
/** Steps at a time: neither who asks nor a server that ends waits for the whole of a log that nobody followed before. */
const stepsMax = 20;

/** Which part of a history is wanted: at most `limit` entries before an index. */
export interface HistoryPage {
  readonly before?: number | undefined;
  readonly limit: number;
}

/**
 * The entries of a log in which an Agent is the one that acted, newest first, as of the last checkpoint. Costs the same
 * however long the log is; what it says is for orientation, the entries themselves are what can be proven.
 */
export async function readAgentHistory(
  db: Database,
  log: LogId,
  agent: AgentId,
  { before, limit }: HistoryPage,
): Promise<AgentHistory> {
  const asOf = await followLog(db, log);
  const rows = await db.prisma.$queryRaw<{ index: bigint; entry: string }[]>`
    SELECT e.index, e.entry
    FROM agent_entry a JOIN ledger_entry e ON e.log_id = a.log_id AND e.index = a.index
    WHERE a.agent_id = ${agent} AND a.log_id = ${log} AND a.index < ${BigInt(Math.min(before ?? asOf, asOf))}
    ORDER BY a.index DESC LIMIT ${limit}`;
  return { entries: rows.map(({ index, entry }) => ({ index: Number(index), entry })), asOf };
}

/** Looks at the entries that came under a checkpoint since the last time, of every log. To be called every few seconds. */
export async function followAgentEntries(db: Database): Promise<void> {
  const behind = await db.prisma.$queryRaw<{ id: LogId }[]>`
    SELECT l.id FROM log l LEFT JOIN agent_entry_cursor c ON c.log_id = l.id
    WHERE l.published_size > coalesce(c.next_index, 0)`;
  for (const { id } of behind) await followLog(db, id);
}

/** @returns how many entries of the log have been looked at */
async function followLog(db: Database, log: LogId): Promise<number> {
  for (let step = 1; ; step++) {
    const { looked, size } = await takeStep(db, log);
    if (looked >= size || step === stepsMax) return looked;
  }
}

/**
 * One step in one statement. The cursor moves by compare-and-set: of several processes that take the same step one does,
 * and the others see where it stands the next time.
 */
async function takeStep(db: Database, log: LogId): Promise<{ looked: number; size: number }> {
  const [row] = await db.prisma.$queryRaw<{ looked: bigint; size: bigint }[]>`
    WITH at AS (
      SELECT l.id, l.published_size, coalesce(c.next_index, 0) AS next_index
      FROM log l LEFT JOIN agent_entry_cursor c ON c.log_id = l.id WHERE l.id = ${log}),
    moved AS (
      INSERT INTO agent_entry_cursor AS c (log_id, next_index)
      SELECT id, least(next_index + ${entriesPerStep}, published_size) FROM at WHERE next_index < published_size
      ON CONFLICT (log_id) DO UPDATE SET next_index = excluded.next_index
        WHERE c.next_index = (SELECT next_index FROM at)
      RETURNING c.next_index),
    acted AS MATERIALIZED (
      SELECT e.entry::json ->> 'agent' AS agent, e.index FROM at, moved, ledger_entry e
      WHERE e.log_id = ${log} AND e.index >= at.next_index AND e.index < moved.next_index),
    found AS (
      INSERT INTO agent_entry (agent_id, log_id, index)
      SELECT agent, ${log}, index FROM acted WHERE agent IS NOT NULL)
    SELECT coalesce((SELECT next_index FROM moved), next_index) AS looked, published_size AS size FROM at`;
  return { looked: Number(row?.looked ?? 0), size: Number(row?.size ?? 0) };
}
