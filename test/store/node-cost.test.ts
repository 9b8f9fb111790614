import type { NodeId, OrganizationId } from "@countersign/sdk/model/ids";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listNodeEntries } from "../../src/store/node-entries.ts";
import { findNode, listTouchedNodes, noteSpentShown } from "../../src/store/nodes.ts";
import { findLatestEntryChange } from "../../src/store/registration-entries.ts";
import { connectPatiently, openTestDatabase } from "../harness.ts";
import { blocksRead } from "./blocks-read.ts";

const organization = "default" as OrganizationId;
const trustDomain = "id.example" as TrustDomain;
const rows = 20_000;
/** More often than PostgreSQL plans a kept statement anew. */
const calls = 20;
/** A few looks by an index, each of three blocks or four; a table of so many rows has hundreds. */
const blocksMax = 30;
const database = await openTestDatabase();
const db = connectPatiently(database.target, 1);
afterAll(async () => {
  await db.close();
  await database.close();
});

// One user owns all agents but one; one node has half of all entries, and another one of them.
beforeAll(async () => {
  const sql = (text: string) => db.prisma.$executeRawUnsafe(text);
  for (const table of ["agent", '"user"', "node", "registration_entry"])
    await sql(`ALTER TABLE ${table} SET (autovacuum_enabled = false)`);
  await sql("INSERT INTO organization VALUES ('default', 'default', now())");
  await sql(
    "INSERT INTO log (id, organization_id, origin, created_at) VALUES ('default', 'default', 'a', now())",
  );
  await sql(`INSERT INTO "user" SELECT id, 'default', 'a', NULL, 'active', now()
    FROM unnest(ARRAY['usr_many', 'usr_one']) id`);
  await sql(`INSERT INTO agent (id, organization_id, owner_id, name, kind, status, created_at)
    SELECT 'agt_'||i, 'default', CASE i WHEN 1 THEN 'usr_one' ELSE 'usr_many' END, 'a', 'worker', 'active', now()
    FROM generate_series(1, ${rows}) i`);
  await sql(`INSERT INTO node (id, organization_id, name, attestation, subject, selectors, status, attested_at)
    VALUES ('nod_one', 'default', 'a', 'join_token', 'a', '{}', 'active', now())`);
  await sql(`INSERT INTO registration_entry (id, organization_id, agent_id, parent_id, selectors, selectors_hash,
      x509_ttl_seconds, jwt_ttl_seconds, dns_names, federates_with, status, created_at, index)
    SELECT 'ent_'||i, 'default', 'agt_'||i, CASE WHEN i = 1 THEN 'nod_one' WHEN i % 2 = 0 THEN 'nod_half' END,
      '{unix:uid:1}', 'h'||i, 3600, 300, '{}', '{}', 'active', now(), i FROM generate_series(1, ${rows}) i`);
});

const looks: readonly [string, () => Promise<unknown>][] = [
  ["which nodes an agent's change touches", () => listTouchedNodes(db, ["agt_1"])],
  ["which nodes an owner's change touches", () => listTouchedNodes(db, ["usr_one"])],
  ["which nodes a new entry touches", () => listTouchedNodes(db, ["ent_1"])],
  [
    "which nodes the change of a thing that no entry rests on touches",
    () => listTouchedNodes(db, ["agt_0", "ent_0"]),
  ],
  ["where the latest change of any entry stands", () => findLatestEntryChange(db, organization)],
  ...(["nod_one", "nod_half", "nod_none"] as const).map((node): [string, () => Promise<unknown>] => [
    `what changed lately of ${node}`,
    () =>
      listNodeEntries(db, trustDomain, organization, node as NodeId, {
        since: rows - 2,
        after: undefined,
        limit: 1,
      }),
  ]),
];

describe.each<[string, string]>([
  ["nothing", "SELECT 1"],
  ["all", "ANALYZE"],
])("while PostgreSQL knows %s of how many rows there are", (_known, known) => {
  beforeAll(() => db.prisma.$executeRawUnsafe(known));

  test.each(looks)("%s is told by a few rows", async (_look, look) => {
    expect(await blocksRead(db, calls, look)).toBeLessThan(blocksMax);
  });
});

test("a node is touched by its entries, by their agents and by the owners of these, and by nothing else", async () => {
  const ids = ["ent_1", "agt_1", "usr_one", "agt_3", "usr_none"];
  expect(await listTouchedNodes(db, ids)).toEqual([
    {
      node: "nod_one",
      ids: expect.toSatisfy((all: string[]) => all.toSorted().join() === "agt_1,ent_1,usr_one"),
    },
  ]);
  expect(await listTouchedNodes(db, ["usr_many", "agt_2"])).toEqual([
    { node: "nod_half", ids: ["agt_2", "usr_many"] },
  ]);
  expect(await listTouchedNodes(db, ["nod_one", "agt_3"])).toEqual([]);
});

test("that an SVID which is spent was shown is written once a minute, however often it is", async () => {
  const node = await findNode(db, organization, "nod_one" as NodeId);
  if (node === undefined) throw new Error("there is no node");
  const noted: (number | undefined)[] = [];
  for (const seconds of [0, 1, 60, 61, 62]) {
    await noteSpentShown(db, node, new Date(seconds * 1000));
    noted.push((await findNode(db, organization, node.id))?.spentShownAtMs);
  }
  expect(noted).toEqual([0, 0, 0, 61_000, 61_000]);
});
