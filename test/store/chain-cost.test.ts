import type { DelegationId, OrganizationId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findDelegationChain } from "../../src/store/delegations.ts";
import { connectPatiently, openTestDatabase, runSql } from "../harness.ts";

const organization = "default" as OrganizationId;
const chains = 300;
/** More often than PostgreSQL plans a kept statement anew. */
const readings = 20;
const database = await openTestDatabase();
// One connection only: it is the one whose reads are counted.
const db = connectPatiently(database.target, 1);
afterAll(async () => {
  await db.close();
  await database.close();
});

// Chains of three hops, all of one organization; and nobody has told PostgreSQL how many there are.
beforeAll(async () => {
  const sql = (text: string) => runSql(database.target, text);
  for (const table of ["delegation", "agent", '"user"', "resource"]) {
    await sql(`ALTER TABLE ${table} SET (autovacuum_enabled = false)`);
  }
  await sql("INSERT INTO organization VALUES ('default', 'default', now())");
  await sql("INSERT INTO \"user\" VALUES ('usr', 'default', 'a', NULL, 'active', now())");
  await sql(`INSERT INTO agent SELECT 'agt_'||i||'_'||hop, 'default', 'usr', 'a', 'worker', 'active', now()
    FROM generate_series(1, ${chains}) i, generate_series(0, 2) hop`);
  await sql(
    "INSERT INTO resource VALUES ('res', 'default', 'https://a.example', '{a}', NULL, true, 'active', now())",
  );
  for (const hop of [0, 1, 2]) {
    const path = Array.from({ length: hop + 1 }, (_, each) => `'dlg_'||i||'_${each}'`);
    const [parent, grantor] = hop === 0 ? ["NULL", "NULL"] : [path.at(-2), `'agt_'||i||'_${hop - 1}'`];
    await sql(`INSERT INTO delegation (id, organization_id, root_id, parent_id, path, subject_id, grantor_agent_id,
      grantee_agent_id, resource_id, scope, max_depth, expires_at, status, created_at, index)
      SELECT 'dlg_'||i||'_${hop}', 'default', 'dlg_'||i||'_0', ${parent}, ARRAY[${path.join(", ")}], 'usr',
        ${grantor}, 'agt_'||i||'_${hop}', 'res', '{a}', ${9 - hop}, '2100-01-01', 'active', now(), i
      FROM generate_series(1, ${chains}) i`);
  }
});

/** Rows of each table that this connection has fetched so far. */
async function rowsRead(): Promise<Record<string, number>> {
  await db.prisma.$queryRaw`SELECT pg_stat_force_next_flush()::text`;
  const rows = await db.prisma.$queryRaw<{ name: string; read: number }[]>`
    SELECT relname AS name, (seq_tup_read + idx_tup_fetch)::int AS read FROM pg_stat_user_tables
    WHERE relname IN ('delegation', 'agent', 'user', 'resource')`;
  return Object.fromEntries(rows.map(({ name, read }) => [name, read]));
}

test("a chain is read by its own rows alone, however many others there are", async () => {
  const before = await rowsRead();
  for (let reading = 1; reading <= readings; reading++) {
    const chain = await findDelegationChain(db, organization, `dlg_${reading}_2` as DelegationId);
    expect(chain?.hops).toHaveLength(3);
  }
  const after = await rowsRead();
  const perReading = (table: string) => ((after[table] ?? 0) - (before[table] ?? 0)) / readings;
  // The leaf, once more with its hops; each hop's agent, owner and Resource; the subject. Fewer where two are one.
  for (const [table, most] of [
    ["delegation", 4],
    ["agent", 3],
    ["user", 4],
    ["resource", 3],
  ] as const) {
    expect([table, perReading(table)]).toEqual([table, expect.toSatisfy((read) => read > 0 && read <= most)]);
  }
});
