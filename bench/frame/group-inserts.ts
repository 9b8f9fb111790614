import { createHash } from "node:crypto";
import pg from "pg";
import type { ConnectionTarget } from "../../src/store/connection.ts";

/** Takes an entry; `then` is called when it is durable. */
export type Insert = (entry: string, then: () => void) => void;

/**
 * Opens the least that recording could be: entries with their hash go into one table, and what arrives while a
 * statement runs goes into the next one. A failed insert ends the process, and with it the measurement.
 */
export async function openGroupInserts(
  target: ConnectionTarget,
): Promise<{ readonly insert: Insert; readonly close: () => Promise<void> }> {
  const client = new pg.Client(target);
  await client.connect();
  await client.query(
    "CREATE TABLE floor (index bigint PRIMARY KEY, entry text NOT NULL, hash bytea NOT NULL)",
  );
  const text = `INSERT INTO floor SELECT index, entry, decode(hash, 'hex')
    FROM json_to_recordset($1::json) AS row (index bigint, entry text, hash text)`;
  let waiting: { entry: string; then: () => void }[] = [];
  let running = false;
  let size = 0;

  const drain = async (): Promise<void> => {
    running = true;
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      const rows = batch.map(({ entry }) => ({
        index: size++,
        entry,
        hash: createHash("sha256").update(entry).digest("hex"),
      }));
      await client.query({ name: "floor", text, values: [JSON.stringify(rows)] });
      for (const { then } of batch) then();
    }
    running = false;
  };

  const insert: Insert = (entry, then) => {
    waiting.push({ entry, then });
    if (!running) void drain();
  };
  return { insert, close: () => client.end() };
}
