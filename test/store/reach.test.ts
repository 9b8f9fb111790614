import type { OrganizationId } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ReachPlace } from "../../src/domain/revocation.ts";
import { listReach, type ReachQuery } from "../../src/store/reach.ts";
import { openTestDatabase, runSql } from "../harness.ts";

const database = await openTestDatabase();
afterAll(() => database.close());
const organization = "default" as OrganizationId;
const held: ReachQuery = { organization, kind: "agent", id: "agt_held" };

// 40 roots of one agent, each with three further hops of which the second is the agent's again; and as many of others.
beforeAll(async () => {
  const sql = (text: string) => runSql(database.target, text);
  await sql("INSERT INTO organization VALUES ('default', 'default', now()), ('other', 'other', now())");
  await sql("INSERT INTO \"user\" VALUES ('usr', 'default', 'a', NULL, 'active', now())");
  await sql(`INSERT INTO agent SELECT id, 'default', 'usr', 'a', 'worker', 'active', now()
    FROM unnest(ARRAY['agt_held', 'agt_b', 'agt_c']) AS a(id)`);
  await sql(
    "INSERT INTO resource VALUES ('res', 'default', 'https://a.example', '{a}', NULL, true, 'active', now())",
  );
  const path = (root: string, hops: number) =>
    `ARRAY[${Array.from({ length: hops }, (_, hop) => `'dlg_${root}_'||i||'_${hop}'`).join(", ")}]`;
  for (const [root, agents] of [
    ["x", ["agt_held", "agt_b", "agt_held", "agt_c"]],
    ["y", ["agt_b", "agt_c", "agt_b", "agt_c"]],
  ] as const) {
    for (const [hop, agent] of agents.entries()) {
      const parent = hop === 0 ? "NULL" : `'dlg_${root}_'||i||'_${hop - 1}'`;
      const grantor = hop === 0 ? "NULL" : `'${agents[hop - 1]}'`;
      await sql(`INSERT INTO delegation (id, organization_id, root_id, parent_id, path, subject_id, grantor_agent_id,
        grantee_agent_id, resource_id, scope, max_depth, expires_at, status, created_at, index)
        SELECT 'dlg_${root}_'||i||'_${hop}', 'default', 'dlg_${root}_'||i||'_0', ${parent}, ${path(root, hop + 1)}, 'usr',
          ${grantor}, '${agent}', 'res', '{a}', 9, now(), 'active', now(), ${hop * 100} + i FROM generate_series(1, 40) i`);
    }
  }
});

async function pages(query: ReachQuery, limit: number): Promise<string[]> {
  const ids: string[] = [];
  for (let after: ReachPlace | undefined; ; ) {
    const page = await listReach(database.db, query, { after, limit });
    expect(page.length).toBeLessThanOrEqual(limit);
    ids.push(...page.map(({ id }) => id));
    if (page.length < limit) return ids;
    after = page.at(-1);
  }
}

test("pages of any size make the same list, by root and id, octet by octet", async () => {
  const all = await pages(held, 1000);
  expect(all).toHaveLength(160);
  expect(all.every((id) => id.startsWith("dlg_x_"))).toBe(true);
  const rootOf = (id: string) => `${id.slice(0, -1)}0`;
  expect(all).toEqual([...all].sort((a, b) => (`${rootOf(a)} ${a}` < `${rootOf(b)} ${b}` ? -1 : 1)));
  for (const limit of [1, 3, 7, 160, 161]) expect(await pages(held, limit)).toEqual(all);
});

test("what was made after the revocation is not in its list", async () => {
  const before = await pages({ ...held, index: 102 }, 9);
  expect(before).toHaveLength(40 + 1);
  expect(await pages({ ...held, index: 1 }, 9)).toEqual([]);
});

test("a delegation reaches itself and what is below it; a token, and another organization, nothing", async () => {
  const from = { organization, kind: "delegation", id: "dlg_x_7_1" } as const;
  expect(await pages(from, 2)).toEqual(["dlg_x_7_1", "dlg_x_7_2", "dlg_x_7_3"]);
  expect(await pages({ ...from, kind: "token" }, 2)).toEqual([]);
  expect(await pages({ ...from, organization: "other" as OrganizationId }, 2)).toEqual([]);
});
