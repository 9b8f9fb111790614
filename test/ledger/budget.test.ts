import { randomBytes } from "node:crypto";
import type { LedgerEntryBody } from "@countersign/sdk/contract/ledger-entry";
import { systemLog } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { AppendRequest } from "../../src/ledger/append.ts";
import { createSequencer, type Sequencer } from "../../src/ledger/sequencer.ts";
import type { Database } from "../../src/store/database.ts";
import type { Condition, Failed, Write } from "../../src/store/write.ts";
import { connectPatiently, openTestDatabase, type TestDatabase } from "../harness.ts";

let database: TestDatabase;
let sequencer: Sequencer;

function sequencerOn(db: Database): Sequencer {
  return createSequencer({
    db,
    now: Date.now,
    randomBytes,
    originOf: async () => "test/log/system",
    checkNotBehind: async () => undefined,
    onCommitted: () => undefined,
  });
}

beforeAll(async () => {
  database = await openTestDatabase();
  const { prisma } = database.db;
  await prisma.$executeRaw`INSERT INTO organization VALUES ('default', 'default', now())`;
  await prisma.$executeRaw`INSERT INTO "user" VALUES ('u', 'default', 'u', NULL, 'active', now())`;
  await prisma.$executeRaw`INSERT INTO agent VALUES ('a', 'default', 'u', 'a', 'worker', 'active', now())`;
  await prisma.$executeRaw`INSERT INTO resource VALUES ('r', 'default', 'https://r.example', '{x}', NULL, true, 'active', now())`;
});
afterAll(() => database.close());

beforeEach(async () => {
  const { prisma } = database.db;
  for (const table of ["ledger_entry", "log", "budget", "revoked_token"]) {
    await prisma.$executeRawUnsafe(`DELETE FROM ${table}`);
  }
  await prisma.$executeRaw`DELETE FROM delegation`;
  await prisma.$executeRaw`INSERT INTO log (id, origin, organization_id, created_at) VALUES ('system', 'test/log/system', 'default', now())`;
  sequencer = sequencerOn(database.db);
});

const entry: LedgerEntryBody = { type: "token.issued", actor: { kind: "system", id: "test" } };
const refusal: LedgerEntryBody = { type: "token.refused", actor: { kind: "system", id: "test" } };
const otherwise = (failed: readonly Failed[]): LedgerEntryBody => ({
  ...refusal,
  detail: { failed: failed.map(({ on, id }) => `${on} ${id}`) },
});

/** A delegation with a budget, as rows; its allowance is not taken from a parent. */
async function plant(id: string, allowance: number, path: string[] = [id]): Promise<void> {
  const { prisma } = database.db;
  const parent = path.at(-2) ?? null;
  await prisma.$executeRaw`
    INSERT INTO delegation VALUES (${id}, 'default', ${path[0]}, ${parent}, ${path}, 'u', ${parent && "a"}, 'a', 'r',
      '{x}', '[]', '{}', '[]', ${15 - path.length}::smallint, now() + interval '1 hour', 'active', NULL, now())`;
  await prisma.$executeRaw`INSERT INTO budget VALUES (${id}, 'default', 'tokens', ${allowance}, 0)`;
}

const use = (of: string, amount = 1): AppendRequest => ({
  entry,
  writes: [{ spend: "tokens", of, amount }],
  otherwise,
});

/** A child as a journey makes it: its allowance moves from the parent in the same commit. */
function child(id: string, path: string[], allowance: number): AppendRequest {
  const parent = path.at(-2) ?? "";
  const row = {
    id,
    organization_id: "default",
    root_id: path[0] ?? id,
    parent_id: parent,
    path,
    subject_id: "u",
    grantor_agent_id: "a",
    grantee_agent_id: "a",
    grantee_tenure: 1,
    resource_id: "r",
    scope: ["x"],
    authorization_details: "[]",
    budget: "{}",
    onward: "[]",
    max_depth: 15 - path.length,
    expires_at: new Date(Date.now() + 3_600_000),
    status: "active",
    asserted_by: null,
    created_at: new Date(),
    redeemed_jti: null,
    session: null,
    exclusive: false,
  } as const;
  const budget = { delegation_id: id, organization_id: "default", unit: "tokens", allowance } as const;
  const writes: Write[] = [
    { into: "delegation", row },
    { spend: "tokens", of: parent, amount: allowance },
    { into: "budget", row: budget },
  ];
  return { entry, writes, otherwise };
}

async function leftOf(id: string): Promise<number> {
  const { allowance, spent } = await database.db.prisma.budget.findUniqueOrThrow({
    where: { delegationId_unit: { delegationId: id, unit: "tokens" } },
  });
  return Number(allowance - spent);
}

test("a budget of 100 admits exactly 100 of 1,000 concurrent uses, over two processes", async () => {
  await plant("root", 100);
  const otherDb = connectPatiently(database.target);
  const other = sequencerOn(otherDb);
  const results = await Promise.all(
    Array.from({ length: 1000 }, (_, i) => (i % 2 ? other : sequencer).append(systemLog, use("root"))),
  );
  expect(results.filter(({ committed }) => committed)).toHaveLength(100);
  expect(await leftOf("root")).toBe(0);
  await otherDb.close();
});

test("1,000 concurrent children get no more than their parent had, each all it asked for or nothing", async () => {
  await plant("root", 1003);
  const results = await Promise.all(
    Array.from({ length: 1000 }, (_, i) =>
      sequencer.append(systemLog, child(`c${i}`, ["root", `c${i}`], 10)),
    ),
  );
  expect(results.filter(({ committed }) => committed)).toHaveLength(100);
  expect(await leftOf("root")).toBe(3);
  expect(await database.db.prisma.budget.count()).toBe(101);
});

test("whoever asks for too much does not keep those behind from what is left", async () => {
  await plant("root", 5);
  const asks = [3, 9, 2, 1].map((amount) => sequencer.append(systemLog, use("root", amount)));
  expect((await Promise.all(asks)).map(({ committed }) => committed)).toEqual([true, false, true, false]);
});

test("a use that fails for another reason spends nothing", async () => {
  await plant("root", 1);
  const gone: Condition = { on: "user", id: "nobody", status: ["active"] };
  const [first, second] = await Promise.all([
    sequencer.append(systemLog, { ...use("root"), conditions: [gone] }),
    sequencer.append(systemLog, use("root")),
  ]);
  expect([first?.committed, second?.committed]).toEqual([false, true]);
});

test("a delegation without a budget in a unit has nothing to spend of it", async () => {
  expect((await sequencer.append(systemLog, use("nowhere"))).committed).toBe(false);
});

test("what a subtree has not spent goes back to the parent, once", async () => {
  await plant("root", 100);
  await sequencer.append(systemLog, child("c", ["root", "c"], 60));
  await sequencer.append(systemLog, child("g", ["root", "c", "g"], 25));
  await sequencer.append(systemLog, use("g", 5));
  await sequencer.append(systemLog, use("c", 7));
  expect(await Promise.all(["root", "c", "g"].map(leftOf))).toEqual([40, 28, 20]);
  const refund: AppendRequest = { entry, writes: [{ refund: "c" }], otherwise };
  await Promise.all([1, 2, 3].map(() => sequencer.append(systemLog, refund)));
  expect(await Promise.all(["root", "c", "g"].map(leftOf))).toEqual([88, 0, 0]);
  expect((await sequencer.append(systemLog, use("g"))).committed).toBe(false);
});

test("uses and refunds at once never create or lose any", async () => {
  await plant("root", 1000);
  for (let i = 0; i < 10; i++) await sequencer.append(systemLog, child(`c${i}`, ["root", `c${i}`], 50));
  const work = Array.from({ length: 300 }, (_, i) =>
    i % 10 === 9
      ? sequencer.append(systemLog, { entry, writes: [{ refund: `c${((i / 10) % 10) | 0}` }], otherwise })
      : sequencer
          .append(systemLog, use(i % 2 ? "root" : `c${i % 10}`, 3))
          .then((result) => ({ ...result, used: 3 })),
  );
  const used = (await Promise.all(work)).reduce(
    (sum, result) => sum + (result.committed && "used" in result ? 3 : 0),
    0,
  );
  const rows = await database.db.prisma.budget.findMany();
  const left = rows.reduce((sum, { allowance, spent }) => sum + Number(allowance - spent), 0);
  expect(left + used).toBe(1000);
});

test("nothing that rests on a token is committed after its revocation", async () => {
  const revoked: Write = {
    into: "revoked_token",
    row: { jti: "t", organization_id: "default", expires_at: new Date(), created_at: new Date() },
  };
  const rests: AppendRequest = {
    entry,
    conditions: [{ on: "revoked_token", id: "t" }],
    otherwise,
  };
  const results = await Promise.all([
    sequencer.append(systemLog, rests),
    sequencer.append(systemLog, { entry, writes: [revoked] }),
    sequencer.append(systemLog, rests),
  ]);
  expect(results.map(({ committed }) => committed)).toEqual([true, true, false]);
});
