import { type InsertTable, insertColumns } from "./table-columns.ts";
import { transitionTables } from "./transition-tables.ts";
import type { Transition, Write } from "./write.ts";
import { announcedTables, placedTables, tolerantTables } from "./write-tables.ts";

/** SQL that depends only on which kinds of write and condition occur, so that few statements are ever prepared. */
export interface BatchStatement {
  /**
   * Its parameters: $1 log, $2 entries, $3 how many, $4 expected head or null, $5 least head, and then one JSON list each
   * for what it has of conditions, spends, refunds, settles, transfers, consents, inserts and transitions, in this order.
   */
  readonly sql: string;
  readonly checks: boolean;
  readonly spends: boolean;
  readonly refunds: boolean;
  readonly settles: boolean;
  readonly transfers: boolean;
  readonly consents: boolean;
  readonly inserts: readonly InsertTable[];
  readonly transitions: readonly Transition["set"][];
}

/** The NOTIFY channel; its payload is `*` or a JSON list of `{on, id}`. */
export const changesChannel = "countersign_changed";

const statements = new Map<string, BatchStatement>();

/** The statement that commits a batch of this kind. */
export function statementFor(batch: {
  readonly writes: readonly Write[];
  readonly conditions: readonly unknown[];
}): BatchStatement {
  const inserts = new Set<InsertTable>();
  const transitions = new Set<Transition["set"]>();
  for (const write of batch.writes) {
    if ("into" in write) inserts.add(write.into);
    else if ("set" in write) transitions.add(write.set);
  }
  const kinds = {
    checks: batch.conditions.length > 0,
    spends: batch.writes.some((write) => "spend" in write),
    refunds: batch.writes.some((write) => "refund" in write),
    settles: batch.writes.some((write) => "settle" in write),
    transfers: batch.writes.some((write) => "transfer" in write),
    consents: batch.writes.some((write) => "consent" in write),
    inserts: [...inserts].sort(),
    transitions: [...transitions].sort(),
  };
  const key = JSON.stringify(kinds);
  const statement = statements.get(key) ?? { ...kinds, sql: batchSql(kinds) };
  statements.set(key, statement);
  return statement;
}

function batchSql(kinds: Omit<BatchStatement, "sql">): string {
  const { checks, spends, refunds, settles, transfers, consents, inserts, transitions } = kinds;
  let parameter = 5;
  const next = () => `$${++parameter}::json`;
  const before: string[] = [];
  const after: string[] = [];
  if (checks) before.push(failedSql(next()));
  if (spends) {
    const sums = next();
    before.push(shortSql(sums));
    after.push(spentSql(sums));
  }
  if (refunds) after.push(refundSql(next()));
  if (settles) after.push(settleSql(next()));
  if (transfers) after.push(transferSql(next()));
  if (consents) after.push(consentSql(next()));
  for (const table of inserts) after.push(insertSql(table, next()));
  for (const table of transitions) after.push(transitionSql(table, next()));
  const changed = [
    ...(transfers ? [{ table: "agent", rows: "transferred" }] : []),
    ...(consents ? [{ table: "delegation", rows: "consented" }] : []),
    ...transitions.map((table) => ({ table, rows: `set_${table}` })),
    ...inserts
      .filter((table) => announcedTables[table] !== undefined)
      .map((table) => ({ table, rows: `insert_${table}` })),
  ];
  const gates = [checks && "failed", spends && "short"].filter((gate) => gate !== false);
  const head = `head AS (
    UPDATE log SET next_index = next_index + $3::int
    WHERE id = $1 AND ($4::bigint IS NULL OR next_index = $4::bigint) AND next_index >= $5::bigint
    ${gates.map((gate) => `AND NOT EXISTS (SELECT FROM ${gate})`).join(" ")}
    RETURNING next_index - $3::int AS first_index)`;
  return `WITH ${[...before, head, entriesSql, ...after].join(",\n")}
    SELECT (SELECT first_index FROM head) AS first_index,
      (SELECT next_index FROM log WHERE id = $1) AS next_index,
      ${checks ? "(SELECT json_agg(failed) FROM failed)" : "NULL::json"} AS failed,
      ${spends ? "(SELECT json_agg(short) FROM short)" : "NULL::json"} AS short,
      ${spends ? "(SELECT json_agg(spent) FROM spent)" : "NULL::json"} AS "left"
      ${changed.length > 0 ? notifySql(changed) : ""}`;
}

const entriesSql = `entries AS (
    INSERT INTO ledger_entry (log_id, index, entry, leaf_hash)
    SELECT $1, head.first_index + e.i, e.entry, decode(e.leaf, 'base64')
    FROM head, json_to_recordset($2::json) AS e(i int, entry text, leaf text))`;

/** The conditions that do not hold, by their place from 1 on; of each, `all` of it, or which part. */
function failedSql(conditions: string): string {
  const tables = Object.entries(transitionTables).map(([name, table]) => {
    const tenure = tenureColumns[name];
    const stops = name === "agent" || name === "node";
    return `WHEN '${name}' THEN (SELECT ${tenure ? `CASE WHEN r.${tenure} <> c.tenure THEN 'tenure' ELSE` : ""}
        CASE WHEN r.status = ANY (c.status)
          ${name === "registration_entry" ? "AND coalesce(c.parent = coalesce(r.parent_id, 'server'), true)" : ""} THEN
          ${stops ? `CASE WHEN r.stopped_at >= c."unstoppedSince"::timestamptz THEN 'stopped' ELSE` : ""}
          'nothing' ${stops ? "END" : ""} END ${tenure ? "END" : ""} FROM ${table} r WHERE r.id = c.id)`;
  });
  return `failed AS MATERIALIZED (
    SELECT c.place, c.what FROM (
      SELECT c.place, coalesce(CASE c."on" ${tables.join("\n")}
        WHEN 'revoked_token' THEN (SELECT 'nothing' WHERE NOT EXISTS (SELECT FROM revoked_token r
          WHERE r.jti = c.id AND r.organization_id = (SELECT organization_id FROM log WHERE id = $1) OFFSET 0))
        WHEN 'transaction_session' THEN (SELECT 'nothing' WHERE NOT EXISTS (SELECT FROM transaction_session r
          WHERE r.txn = c.id AND r.organization_id = (SELECT organization_id FROM log WHERE id = $1)
            AND r.session <> c.session))
        WHEN 'transaction_subject' THEN (SELECT 'nothing' WHERE NOT EXISTS (SELECT FROM transaction_subject r
          WHERE r.txn = c.id AND r.organization_id = (SELECT organization_id FROM log WHERE id = $1)
            AND r.subject_id <> c.subject AND (r.exclusive OR c.exclusive)))
        WHEN 'client_profile' THEN (SELECT 'nothing' WHERE c.last IS NOT DISTINCT FROM (
          SELECT max(r.index) FROM client_profile r WHERE r.principal_id = c.id AND r.log_id = $1))
        WHEN 'approved_checksum' THEN (SELECT 'nothing'
          WHERE NOT EXISTS (SELECT FROM agent_checksum r WHERE r.agent_id = c.id OFFSET 0)
            OR EXISTS (SELECT FROM agent_checksum r
              WHERE r.agent_id = c.id AND r.checksum = c.checksum AND r.status = 'approved' OFFSET 0))
        WHEN 'reservation' THEN (SELECT 'nothing' WHERE EXISTS (SELECT FROM reservation r
          WHERE r.action_id = c.id AND r.status = 'reserved' OFFSET 0))
        WHEN 'rate' THEN (SELECT 'nothing' WHERE c.times > (SELECT count(*) FROM rate_use r
          WHERE r.id = c.id AND r.organization_id = (SELECT organization_id FROM log WHERE id = $1)
            AND r.used_at > c.since::timestamptz))
        WHEN 'tenant_claim' THEN (SELECT 'nothing' WHERE NOT EXISTS (SELECT FROM trusted_issuer r
          WHERE r.kind || ' ' || r.issuer || ' ' || r.audience = c.id AND r.status = 'active'
            AND r.organization_id = (SELECT organization_id FROM log WHERE id = $1)
            AND (r.tenant_claim IS NULL OR c.claim IS NULL OR r.tenant_claim <> c.claim)))
        WHEN 'agent_quota' THEN (SELECT 'nothing' FROM trusted_issuer r WHERE r.id = c.id AND r.max_agents >
          (SELECT count(*) FROM agent a WHERE a.trusted_issuer_id = r.id AND a.status <> 'retired'))
        END, 'all') AS what
      FROM ROWS FROM (json_to_recordset(${conditions})
        AS ("on" text, id text, status text[], tenure int, "unstoppedSince" text, session text, last bigint,
          checksum text, claim text, parent text, subject text, exclusive boolean, times int, since text))
        WITH ORDINALITY
        AS c("on", id, status, tenure, "unstoppedSince", session, last, checksum, claim, parent,
          subject, exclusive, times, since, place)) c
    WHERE c.what <> 'nothing')`;
}

/** Where a table says which tenure a row is of. */
const tenureColumns: Partial<Record<string, string>> = { agent: "tenure", delegation: "grantee_tenure" };

/** The budgets that have less left than the batch spends; one that is not there has nothing. */
function shortSql(sums: string): string {
  return `short AS MATERIALIZED (
    SELECT s."of", s.unit, coalesce(b.allowance - b.spent, 0) AS "left"
    FROM json_to_recordset(${sums}) AS s("of" text, unit text, amount bigint)
    LEFT JOIN budget b ON b.delegation_id = s."of" AND b.unit = s.unit
    WHERE coalesce(b.allowance - b.spent, 0) < s.amount)`;
}

function spentSql(sums: string): string {
  return `spent AS (
    UPDATE budget b SET spent = b.spent + s.amount
    FROM head, json_to_recordset(${sums}) AS s("of" text, unit text, amount bigint)
    WHERE b.delegation_id = s."of" AND b.unit = s.unit
    RETURNING b.delegation_id AS "of", b.unit, b.allowance - b.spent AS "left")`;
}

/**
 * What nobody below a delegation has spent goes back to its parent. An allowance moved on to a child counts as spent
 * above it, so the sum of what is left over the subtree is all that is left of what the delegation once got.
 */
function refundSql(refunds: string): string {
  return `ended AS (
    SELECT d.id, top.id AS top, top.parent_id AS parent FROM json_to_recordset(${refunds}) AS t(id text)
    JOIN delegation top ON top.id = t.id
    JOIN delegation d ON d.root_id = top.root_id AND d.path @> ARRAY[top.id]),
  unused AS (
    SELECT ended.parent, b.unit, sum(b.allowance - b.spent)::bigint AS "left"
    FROM ended JOIN budget b ON b.delegation_id = ended.id GROUP BY ended.parent, b.unit),
  emptied AS (
    UPDATE budget b SET allowance = b.spent FROM head, ended WHERE b.delegation_id = ended.id),
  refunded AS (
    UPDATE budget b SET spent = b.spent - unused."left"
    FROM head, unused WHERE b.delegation_id = unused.parent AND b.unit = unused.unit)`;
}

/**
 * What is counted for a reservation becomes what was used of it, or what the budget has; of two accounts the more. A null
 * is of nobody's account, and changes none. One row of a budget is changed for one reservation only: each settles one unit.
 */
function settleSql(settles: string): string {
  return `settling AS MATERIALIZED (
    SELECT r.action_id, r.unit, r.delegation_id, s.used,
      least(CASE WHEN r.status = 'used' THEN greatest(s.used, r.counted) ELSE coalesce(s.used, 0) END - r.counted,
        b.allowance - b.spent) AS more
    FROM json_to_recordset(${settles}) AS s(id text, unit text, used bigint)
    JOIN reservation r ON r.action_id = s.id AND r.unit = s.unit
    JOIN budget b ON b.delegation_id = r.delegation_id AND b.unit = r.unit
    WHERE s.used IS NOT NULL OR r.status = 'reserved'),
  counted AS (
    UPDATE budget b SET spent = b.spent + settling.more
    FROM head, settling WHERE b.delegation_id = settling.delegation_id AND b.unit = settling.unit),
  settled AS (
    UPDATE reservation r SET counted = r.counted + settling.more,
      status = CASE WHEN settling.used IS NULL THEN 'released' ELSE 'used' END
    FROM head, settling WHERE r.action_id = settling.action_id AND r.unit = settling.unit)`;
}

/** What was issued to the agent under its owner before is over, as after a suspension. */
function transferSql(transfers: string): string {
  return `transferred AS (
    UPDATE agent AS r SET owner_id = t."to", tenure = t.tenure + 1, stopped_at = t.at
    FROM head, json_to_recordset(${transfers}) AS t(id text, tenure int, "to" text, at timestamptz)
    WHERE r.id = t.id RETURNING r.id)`;
}

function consentSql(consents: string): string {
  return `consented AS (
    UPDATE delegation AS r SET grantee_tenure = t."to"
    FROM head, json_to_recordset(${consents}) AS t(id text, "to" int)
    WHERE r.id = t.id RETURNING r.id)`;
}

function insertSql(table: InsertTable, rows: string): string {
  const columns = insertColumns(table);
  const names = columns.map(({ name }) => name);
  const values = columns.map(({ name, type }) =>
    type === "bytea" ? `decode(r.${name}, 'base64')` : `r.${name}`,
  );
  const types = columns.map(({ name, type }) => `${name} ${type === "bytea" ? "text" : type}`);
  const place = placedTables.get(table);
  if (place !== undefined) {
    names.push(...place);
    values.push(...place.map((column) => (column === "log_id" ? "$1" : "head.first_index + r.place")));
    types.push("place int");
  }
  const announced = announcedTables[table];
  return `insert_${table} AS (
    INSERT INTO "${table}" (${names.join(", ")}) SELECT ${values.join(", ")}
    FROM head, json_to_recordset(${rows}) AS r(${types.join(", ")})
    ${tolerantTables.has(table) ? "ON CONFLICT DO NOTHING" : ""}
    ${announced === undefined ? "" : `RETURNING ${announced} AS id`})`;
}

function transitionSql(table: Transition["set"], rows: string): string {
  const times = timesSql[table] ?? "";
  return `set_${table} AS (
    UPDATE ${transitionTables[table]} AS r SET status = t."to"${times}
    FROM head, json_to_recordset(${rows}) AS t(id text, "to" text, at timestamptz${table === "node" ? joinsTypes : ""})
    WHERE r.id = t.id RETURNING r.id)`;
}

const joinsTypes = ", attestation text, subject text, selectors text[], attested_at timestamptz";

/** The columns that tell when, where in the log, or as what a status was taken on. */
const timesSql: Partial<Record<Transition["set"], string>> = {
  // So that whoever holds the entries is told what changed since it asked, in the order of the log.
  registration_entry: ", index = head.first_index",
  join_token: ", used_at = t.at",
  // By evicting it, or by its machine's joining anew; letting it in again leaves the time of the first.
  // What evidence alone finds it by stays: who was evicted must not become another by another's joining.
  node: `, stopped_at = CASE r.status WHEN 'active' THEN t.at ELSE r.stopped_at END,
           last_attestation = coalesce(t.attestation, r.last_attestation),
           last_subject = coalesce(t.subject, r.last_subject),
           selectors = coalesce(t.selectors, r.selectors), attested_at = coalesce(t.attested_at, r.attested_at)`,
  agent: `, stopped_at = CASE t."to" WHEN 'active' THEN stopped_at ELSE t.at END`,
  agent_checksum: `, approved_at = CASE t."to" WHEN 'approved' THEN t.at ELSE approved_at END,
           withdrawn_at = CASE t."to" WHEN 'withdrawn' THEN t.at END`,
  signing_key: `, activated_at = CASE t."to" WHEN 'active' THEN t.at ELSE activated_at END,
           retired_at = CASE WHEN t."to" IN ('retired', 'withdrawn') THEN t.at ELSE retired_at END`,
};

/** Tells caches what changed, in the same transaction; too long a list says that everything may have. */
function notifySql(changes: readonly { readonly table: string; readonly rows: string }[]): string {
  const changed = changes
    .map(({ table, rows }) => `SELECT '${table}' AS "on", id FROM ${rows}`)
    .join(" UNION ALL ");
  return `, (SELECT pg_notify('${changesChannel}', CASE WHEN count(*) > 100 THEN '*' ELSE json_agg(changed)::text END)::text
      FROM (${changed}) AS changed HAVING count(*) > 0) AS notified`;
}
