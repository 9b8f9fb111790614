import type { AgentId, OrganizationId, ResourceId, UserId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { statementFor } from "../../src/store/batch-statement.ts";
import { findGrantedChain } from "../../src/store/delegations.ts";
import { listTrustsIn } from "../../src/store/trusted-issuers.ts";
import { connectPatiently, openTestDatabase } from "../harness.ts";
import { blocksRead } from "./blocks-read.ts";

const organization = "default" as OrganizationId;
const rows = 20_000;
/** More often than PostgreSQL plans a kept statement anew. */
const calls = 20;
/** A few looks by an index, each of three blocks or four; a table of so many rows has hundreds. */
const blocksMax = 40;
const issuer = "https://token.actions.githubusercontent.com";
const database = await openTestDatabase();
const db = connectPatiently(database.target, 1);
const sql = (text: string) => db.prisma.$executeRawUnsafe(text);
afterAll(async () => {
  await db.close();
  await database.close();
});

// One agent was given the same again and again, which is over but for the last time; others once each. Many organizations
// trust one issuer.
beforeAll(async () => {
  for (const table of ["agent", '"user"', "resource", "delegation", "organization", "trusted_issuer"])
    await sql(`ALTER TABLE ${table} SET (autovacuum_enabled = false)`);
  await sql(`INSERT INTO organization (id, name, created_at) SELECT 'default', 'default', now()
    UNION ALL SELECT 'org_'||i, 'org_'||i, now() FROM generate_series(1, ${rows}) i`);
  await sql("INSERT INTO \"user\" VALUES ('usr', 'default', 'a', NULL, 'active', now())");
  await sql(
    "INSERT INTO resource VALUES ('res', 'default', 'https://a.example', '{a}', NULL, true, 'active', now())",
  );
  await sql(`INSERT INTO agent (id, organization_id, owner_id, name, kind, status, created_at)
    SELECT 'agt_'||i, 'default', 'usr', 'a', 'worker', 'active', now() FROM generate_series(0, ${rows}) i`);
  for (const [name, grantee, isOver] of [
    ["old", "'agt_0'", `i < ${rows}`],
    ["other", "'agt_'||i", "false"],
  ])
    await sql(`INSERT INTO delegation (id, organization_id, root_id, path, subject_id, grantee_agent_id, resource_id, scope,
        max_depth, expires_at, status, created_at, index)
      SELECT 'dlg_${name}_'||i, 'default', 'dlg_${name}_'||i, ARRAY['dlg_${name}_'||i], 'usr', ${grantee}, 'res', '{a}', 9,
        now() + CASE WHEN ${isOver} THEN interval '-1 day' ELSE interval '1 day' END, 'active', now(), i
      FROM generate_series(1, ${rows}) i`);
  await sql(`INSERT INTO trusted_issuer (id, organization_id, issuer, kind, audience, max_age_seconds, algorithms, status,
      created_at)
    SELECT 'tiss_'||kind||i, 'org_'||i, '${issuer}', kind,
      CASE kind WHEN 'workload' THEN 'https://id.example/org_'||i ELSE 'https://id.example' END, 300, '{ES256}', 'active', now()
    FROM generate_series(1, ${rows}) i, unnest(ARRAY['workload', 'id_jag']) kind`);
});

const granted = (grantee: string) => () =>
  findGrantedChain(db, organization, {
    subject: "usr" as UserId,
    grantee: grantee as AgentId,
    resource: "res" as ResourceId,
    nowMs: Date.now(),
  });
const workload = { kind: "workload", issuer, organization: undefined } as const;
const person = { kind: "id_jag", issuer, audience: "https://id.example" } as const;
const looks: readonly [string, () => Promise<unknown>, unknown][] = [
  ["what an agent was given once", granted("agt_7"), { hops: [{ delegation: { id: "dlg_other_7" } }] }],
  [
    "what an agent was given last of very often",
    granted("agt_0"),
    { hops: [{ delegation: { id: `dlg_old_${rows}` } }] },
  ],
  [
    "whose trust a workload's assertion falls under",
    () => listTrustsIn(db, { ...workload, audience: "https://id.example/org_7" }),
    [{ organization: "org_7", kind: "workload" }],
  ],
  [
    "that an audience is nobody's",
    () => listTrustsIn(db, { ...workload, audience: "https://id.example" }),
    [],
  ],
  [
    "whether an organization trusts who asserts a person",
    () => listTrustsIn(db, { ...person, organization: "org_7" as OrganizationId }),
    [{ organization: "org_7", kind: "id_jag" }],
  ],
];

describe.each<[string, string]>([
  ["nothing", "SELECT 1"],
  ["all", "ANALYZE"],
])("while PostgreSQL knows %s of how many rows there are", (_known, known) => {
  beforeAll(() => sql(known));

  test.each(looks)("%s is told by a few rows", async (_look, look, found) => {
    expect(await look()).toMatchObject(found as object);
    expect(await blocksRead(db, calls, look)).toBeLessThan(blocksMax);
  });
});

describe("how many agents of a trusted issuer are not retired", () => {
  const alive = 5;
  const { sql: statement } = statementFor({
    writes: [],
    conditions: [{ on: "agent_quota", id: "tiss_workload1" }],
  });
  const commitFor = (issuer: string) => () =>
    db.prisma.$queryRawUnsafe<{ failed: unknown }[]>(
      statement,
      "default",
      "[]",
      0,
      null,
      0,
      JSON.stringify([{ on: "agent_quota", id: issuer }]),
    );
  const commit = commitFor("tiss_workload1");
  /** Of an issuer that nobody trusts there is nothing to count: what this reads, any such statement does. */
  const floor = commitFor("tiss_nobody");

  beforeAll(async () => {
    await sql(
      "INSERT INTO log (id, organization_id, origin, created_at) VALUES ('default', 'default', 'a', now())",
    );
    await sql(`UPDATE agent SET trusted_issuer_id = 'tiss_workload1',
      status = CASE WHEN substr(id, 5)::int < ${alive} THEN 'suspended' ELSE 'retired' END`);
    // As autovacuum does: rows that all were changed at once leave as many dead ones in each index.
    await sql("VACUUM agent");
  });

  test.each([
    ["nothing of that", "SELECT 1"],
    ["all", "ANALYZE agent"],
  ])(
    "is counted by their own rows alone, however many are retired, while PostgreSQL knows %s",
    async (_known, known) => {
      await sql(known);
      for (const [most, failed] of [
        [alive, [{ place: 1, what: "all" }]],
        [alive + 1, null],
      ] as const) {
        await sql(`UPDATE trusted_issuer SET max_agents = ${most} WHERE id = 'tiss_workload1'`);
        expect(await commit()).toMatchObject([{ failed }]);
        // So often that it is planned: a plan looks at each table and index that the statement could need.
        await blocksRead(db, calls, commit);
        const own = (await blocksRead(db, calls, commit)) - (await blocksRead(db, calls, floor));
        expect(own).toBeLessThan(2 * alive);
      }
    },
  );
});
