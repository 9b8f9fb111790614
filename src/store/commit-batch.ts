import type { LogId } from "@countersign/sdk/model/ids";
import type { Database } from "./database.ts";
import type { Condition, Transition, Write } from "./write.ts";
import { type InsertTable, insertColumns, transitionTables } from "./write-tables.ts";

/** Entries and the rows they imply, to be committed as one or not at all. */
export interface Batch {
  readonly log: LogId;
  /** In order; each takes the index after the one before it. */
  readonly entries: readonly { readonly entry: string; readonly leafHash: Uint8Array }[];
  readonly writes: readonly Write[];
  readonly conditions: readonly Condition[];
  readonly at: Date;
}

/** Where the committer believes the log's head to be. */
export interface KnownHead {
  /** The index that the first entry must take, or undefined when it must be asked for. */
  readonly expected: bigint | undefined;
  /** No head below this was ever seen: a smaller one means that the database has gone back in time. */
  readonly atLeast: bigint;
}

export type BatchOutcome =
  | { readonly kind: "committed"; readonly firstIndex: bigint }
  /** Some conditions do not hold: nothing was written. */
  | { readonly kind: "failed"; readonly failed: readonly Condition[] }
  /** Another process moved the head: nothing was written. */
  | { readonly kind: "moved" }
  | { readonly kind: "unknown-log" }
  | { readonly kind: "behind"; readonly nextIndex: bigint };

interface BatchRow {
  readonly first_index: bigint | null;
  readonly next_index: bigint | null;
  readonly failed: readonly Condition[] | null;
}

/**
 * Commits a batch in one statement: the conditions are read, the head of the log is moved by compare-and-set, and
 * entries and rows are inserted only if it moved.
 *
 * Why the conditions can't miss a revocation: every change of a status goes through this function and moves the head
 * of its log. The expected head was read before this statement's snapshot was taken; if the head still stands there
 * when its row is locked, no change was committed in between. With no expected head, the row is locked by a statement
 * of its own first, so that the snapshot of the second is younger than the lock.
 */
export async function commitBatch(db: Database, batch: Batch, head: KnownHead): Promise<BatchOutcome> {
  const statement = statementFor(batch);
  const parameters = parametersOf(batch, head, statement);
  const run = () => db.prisma.$queryRawUnsafe<BatchRow[]>(statement.sql, ...parameters);
  const rows =
    head.expected === undefined
      ? (await db.prisma.$transaction([lockHead(db, batch.log), run()]))[1]
      : await run();
  return outcomeOf(rows[0], head);
}

function lockHead(db: Database, log: LogId) {
  return db.prisma.$queryRawUnsafe("SELECT 1 FROM log WHERE id = $1 FOR UPDATE", log);
}

function outcomeOf(row: BatchRow | undefined, head: KnownHead): BatchOutcome {
  if (row === undefined || row.next_index === null) return { kind: "unknown-log" };
  if (row.first_index !== null) return { kind: "committed", firstIndex: row.first_index };
  if (row.next_index < head.atLeast) return { kind: "behind", nextIndex: row.next_index };
  if (row.failed !== null) return { kind: "failed", failed: row.failed };
  return { kind: "moved" };
}

/** SQL that depends only on which kinds of write and condition occur, so that few statements are ever prepared. */
interface Statement {
  readonly sql: string;
  readonly inserts: readonly InsertTable[];
  readonly transitions: readonly Transition["set"][];
}

const statements = new Map<string, Statement>();

function statementFor(batch: Batch): Statement {
  const inserts = new Set<InsertTable>();
  const transitions = new Set<Transition["set"]>();
  for (const write of batch.writes) {
    if ("into" in write) inserts.add(write.into);
    else transitions.add(write.set);
  }
  const kinds = { inserts: [...inserts].sort(), transitions: [...transitions].sort() };
  const key = JSON.stringify([kinds, batch.conditions.length > 0]);
  let statement = statements.get(key);
  if (statement === undefined) {
    statement = { ...kinds, sql: batchSql(kinds.inserts, kinds.transitions, batch.conditions.length > 0) };
    statements.set(key, statement);
  }
  return statement;
}

function parametersOf(batch: Batch, head: KnownHead, statement: Statement): unknown[] {
  const entries = batch.entries.map(({ entry, leafHash }, i) => ({
    i,
    entry,
    leaf: Buffer.from(leafHash).toString("base64"),
  }));
  const parameters: unknown[] = [
    batch.log,
    JSON.stringify(entries),
    batch.entries.length,
    head.expected ?? null,
    head.atLeast,
  ];
  if (batch.conditions.length > 0) parameters.push(JSON.stringify(batch.conditions));
  for (const table of statement.inserts) {
    const rows = batch.writes.flatMap((write) =>
      "into" in write && write.into === table ? [write.row] : [],
    );
    parameters.push(JSON.stringify(rows));
  }
  for (const table of statement.transitions) {
    const rows = batch.writes.flatMap((write) => ("set" in write && write.set === table ? [write] : []));
    parameters.push(JSON.stringify(rows.map(({ id, to }) => ({ id, to, at: batch.at }))));
  }
  return parameters;
}

function batchSql(
  inserts: readonly InsertTable[],
  transitions: readonly Transition["set"][],
  conditional: boolean,
): string {
  let parameter = 5;
  const next = () => `$${++parameter}::json`;
  const parts = conditional ? [failedSql(next())] : [];
  parts.push(`head AS (
    UPDATE log SET next_index = next_index + $3::int
    WHERE id = $1 AND ($4::bigint IS NULL OR next_index = $4::bigint) AND next_index >= $5::bigint
    ${conditional ? "AND NOT EXISTS (SELECT FROM failed)" : ""}
    RETURNING next_index - $3::int AS first_index)`);
  parts.push(`entries AS (
    INSERT INTO ledger_entry (log_id, index, entry, leaf_hash)
    SELECT $1, head.first_index + e.i, e.entry, decode(e.leaf, 'base64')
    FROM head, json_to_recordset($2::json) AS e(i int, entry text, leaf text))`);
  for (const table of inserts) parts.push(insertSql(table, next()));
  for (const table of transitions) parts.push(transitionSql(table, next()));
  return `WITH ${parts.join(",\n")}
    SELECT (SELECT first_index FROM head) AS first_index,
      (SELECT next_index FROM log WHERE id = $1) AS next_index,
      ${conditional ? `(SELECT json_agg(json_build_object('on', "on", 'id', id, 'status', status)) FROM failed)` : "NULL::json"} AS failed
      ${transitions.length > 0 ? notifySql(transitions) : ""}`;
}

function failedSql(parameter: string): string {
  const tables = Object.entries(transitionTables).map(
    ([name, table]) =>
      `WHEN '${name}' THEN EXISTS (SELECT FROM ${table} r WHERE r.id = c.id AND r.status = ANY (c.status))`,
  );
  return `failed AS MATERIALIZED (
    SELECT c."on", c.id, c.status FROM json_to_recordset(${parameter}) AS c("on" text, id text, status text[])
    WHERE NOT CASE c."on" ${tables.join("\n")} ELSE false END)`;
}

function insertSql(table: InsertTable, parameter: string): string {
  const columns = insertColumns(table);
  const names = columns.map(({ name }) => name);
  const values = columns.map(({ name, type }) =>
    type === "bytea" ? `decode(r.${name}, 'base64')` : `r.${name}`,
  );
  const types = columns.map(({ name, type }) => `${name} ${type === "bytea" ? "text" : type}`);
  return `insert_${table} AS (
    INSERT INTO "${table}" (${names.join(", ")}) SELECT ${values.join(", ")}
    FROM head, json_to_recordset(${parameter}) AS r(${types.join(", ")})
    ${table === "policy_version" || table === "revoked_token" ? "ON CONFLICT DO NOTHING" : ""})`;
}

function transitionSql(table: Transition["set"], parameter: string): string {
  const times =
    table === "signing_key"
      ? `, activated_at = CASE t."to" WHEN 'active' THEN t.at ELSE activated_at END,
           retired_at = CASE t."to" WHEN 'retired' THEN t.at ELSE retired_at END`
      : "";
  return `set_${table} AS (
    UPDATE ${transitionTables[table]} AS r SET status = t."to"${times}
    FROM head, json_to_recordset(${parameter}) AS t(id text, "to" text, at timestamptz)
    WHERE r.id = t.id RETURNING r.id)`;
}

/** Tells caches what changed, in the same transaction; too long a list says that everything may have. */
function notifySql(transitions: readonly Transition["set"][]): string {
  const changed = transitions
    .map((table) => `SELECT '${table}' AS "on", id FROM set_${table}`)
    .join(" UNION ALL ");
  return `, (SELECT pg_notify('${changesChannel}', CASE WHEN count(*) > 100 THEN '*' ELSE json_agg(changed)::text END)::text
      FROM (${changed}) AS changed HAVING count(*) > 0) AS notified`;
}

/** The NOTIFY channel; its payload is `*` or a JSON list of `{on, id}`. */
export const changesChannel = "countersign_changed";
