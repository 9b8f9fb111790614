import { createHash, randomBytes } from "node:crypto";
import type { LedgerEntryBody } from "@countersign/sdk/contract/ledger-entry";
import { type LogId, newId, systemLog } from "@countersign/sdk/model/ids";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { DomainError } from "../../src/domain/domain-error.ts";
import type { AppendRequest } from "../../src/ledger/append.ts";
import { createSequencer, type Sequencer } from "../../src/ledger/sequencer.ts";
import type { Database } from "../../src/store/database.ts";
import type { UserRow } from "../../src/store/rows.ts";
import type { Condition } from "../../src/store/write.ts";
import { connectPatiently, openTestDatabase, type TestDatabase } from "../harness.ts";

let database: TestDatabase;
let sequencer: Sequencer;
let committed: { log: LogId; size: number; urgent: boolean }[];

function sequencerOn(
  db: Database,
  checkNotBehind: () => Promise<void> = async () => undefined,
  now: () => number = Date.now,
): Sequencer {
  return createSequencer({
    db,
    now,
    randomBytes,
    originOf: async (log) => (await db.prisma.log.findUnique({ where: { id: log } }))?.origin,
    checkNotBehind,
    onCommitted: (log, size, urgent) => committed.push({ log, size, urgent }),
  });
}

beforeAll(async () => {
  database = await openTestDatabase();
  const { prisma } = database.db;
  await prisma.$executeRaw`INSERT INTO organization VALUES ('default', 'default', now())`;
});
afterAll(() => database.close());

beforeEach(async () => {
  const { prisma } = database.db;
  await prisma.$executeRaw`DELETE FROM ledger_entry`;
  await prisma.$executeRaw`DELETE FROM revocation`;
  await prisma.$executeRaw`DELETE FROM log`;
  await prisma.$executeRaw`INSERT INTO log (id, origin, created_at) VALUES ('system', 'test/log/system', now())`;
  committed = [];
  sequencer = sequencerOn(database.db);
});

const created: LedgerEntryBody = { type: "user.created", actor: { kind: "system", id: "test" } };
const refused: LedgerEntryBody = { type: "mutation.refused", actor: { kind: "system", id: "test" } };

function user(name = "Alice"): UserRow {
  const id = newId("user", Date.now(), randomBytes(16));
  return { id, organization_id: "default", name, email: null, status: "active", created_at: new Date() };
}

function creation(row: UserRow): AppendRequest {
  return { entry: { ...created, subject: row.id }, writes: [{ into: "user", row }] };
}

function offboarding(id: string): AppendRequest {
  return {
    entry: { ...created, type: "user.created", subject: id },
    writes: [{ set: "user", id, from: ["active"], to: "offboarded" }],
    otherwise: () => ({ ...refused, subject: id }),
  };
}

function dependent(id: string): AppendRequest {
  return {
    entry: { ...created, type: "token.issued", subject: id },
    conditions: [{ on: "user", id, status: ["active"] }],
    otherwise: (failed) => ({ ...refused, subject: id, detail: { failed: failed.map(({ on }) => on) } }),
  };
}

/** The log as it stands; fails when an index is missing or a leaf hash is not that of its entry. */
async function readLog(): Promise<{ type: string; subject?: string; detail?: unknown }[]> {
  const rows = await database.db.prisma.ledgerEntry.findMany({ orderBy: { index: "asc" } });
  const log = await database.db.prisma.log.findUniqueOrThrow({ where: { id: systemLog } });
  expect(rows.map(({ index }) => Number(index))).toEqual(rows.map((_, place) => place));
  expect(Number(log.nextIndex)).toBe(rows.length);
  for (const { entry, leafHash } of rows) {
    expect(createHash("sha256").update("\0").update(entry).digest().equals(leafHash)).toBe(true);
  }
  return rows.map(({ entry }) => JSON.parse(entry));
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "fulfilled",
    (error: unknown) => (error instanceof DomainError ? error.code : String(error)),
  );
}

test("a row that bears the place of its entry bears its own, also among others of one batch and after a refused one", async () => {
  const nodes = ["dlg_a", "dlg_b", "dlg_c"];
  const revoking = (node: string): AppendRequest => ({
    entry: { ...created, type: "delegation.revoked", delegation: node },
    writes: [
      {
        into: "revocation",
        row: { organization_id: "default", kind: "delegation", node_id: node, revoked_at: new Date() },
      },
    ],
  });
  const [, , ...appended] = await Promise.all([
    sequencer.append(systemLog, creation(user())),
    sequencer.append(systemLog, dependent("usr_nobody")),
    ...nodes.map((node) => sequencer.append(systemLog, revoking(node))),
  ]);
  const rows = await database.db.prisma.revocation.findMany({ orderBy: { index: "asc" } });
  expect(rows.map(({ logId, index, nodeId }) => [logId, Number(index), nodeId])).toEqual(
    nodes.map((node, place) => [systemLog, appended[place]?.index, node]),
  );
  expect((await readLog())[2]).toMatchObject({ type: "delegation.revoked", delegation: "dlg_a" });
});

test("[SES-001] uses of a transaction by one session are one batch; another session waits for them, and loses", async () => {
  const { prisma } = database.db;
  const log = "default" as LogId;
  await prisma.$executeRaw`INSERT INTO log (id, organization_id, origin, created_at)
    VALUES ('default', 'default', 'test/log/default', now())`;
  const use = (txn: string, session: string, conditions: Condition[] = []) => {
    const row = { organization_id: "default", txn, session, expires_at: new Date() };
    return sequencer.append(log, {
      entry: created,
      writes: [{ into: "transaction_session", row }],
      conditions: [...conditions, { on: "transaction_session", id: txn, session }],
      otherwise: () => refused,
    });
  };
  // While the first is committed, the others come together.
  const alone = () => use("before", "s");
  await Promise.all([alone(), ...Array.from({ length: 64 }, () => use("one", "s"))]);
  expect(committed.map(({ size }) => size)).toEqual([1, 65]);
  const sessions = ["s", "s", "other", "s"];
  const raced = await Promise.all([alone(), ...sessions.map((session) => use("two", session))]);
  expect(raced.map((result) => result.committed)).toEqual([true, true, true, false, true]);
  expect(committed.map(({ size }) => size)).toEqual([1, 65, 66, 68, 69, 70]);
  // Who fails binds nothing: those who come along do.
  const gone: Condition = { on: "user", id: "usr_nobody", status: ["active"] };
  const along = await Promise.all([alone(), use("three", "s", [gone]), use("three", "s")]);
  expect(along.map((result) => result.committed)).toEqual([true, false, true]);
  expect(committed.at(-1)?.size).toBe(73);
  const bound = await prisma.transactionSession.findMany({ orderBy: { txn: "asc" } });
  expect(bound.map(({ txn, session }) => `${txn} ${session}`)).toEqual(
    ["before", "one", "three", "two"].map((txn) => `${txn} s`),
  );
});

test("gives 1,000 concurrent appends consecutive indices, each its own", async () => {
  const rows = Array.from({ length: 1000 }, () => user());
  const appended = await Promise.all(rows.map((row) => sequencer.append(systemLog, creation(row))));
  const entries = await readLog();
  expect(appended.map(({ index }) => entries[index]?.subject)).toEqual(rows.map(({ id }) => id));
  expect(await database.db.prisma.user.count({ where: { id: { in: rows.map(({ id }) => id) } } })).toBe(1000);
  expect(committed.at(-1)).toEqual({ log: systemLog, size: 1000, urgent: false });
});

test("two processes on one log never fork or gap it", async () => {
  const otherDb = connectPatiently(database.target);
  const other = sequencerOn(otherDb);
  const appends = Array.from({ length: 1000 }, (_, i) =>
    (i % 2 ? other : sequencer).append(systemLog, creation(user())),
  );
  const indices = (await Promise.all(appends)).map(({ index }) => index);
  expect(new Set(indices).size).toBe(1000);
  expect(await readLog()).toHaveLength(1000);
  await otherDb.close();
});

test("one entry that can't be stored fails its own caller only", async () => {
  const good = Array.from({ length: 40 }, () => creation(user()));
  const nul = creation(user("a\0b"));
  const surrogate: AppendRequest = { entry: { ...created, action: "\ud800" } };
  const taken = user();
  const oversize: AppendRequest = { entry: { ...created, action: "x".repeat(1024 * 1024) } };
  const unknownMember: AppendRequest = { entry: { ...created, ...{ password: "secret" } } };
  const orphan: AppendRequest = creation({ ...user(), organization_id: "nowhere" });
  await sequencer.append(systemLog, creation(taken));
  const poison = [nul, surrogate, creation(taken), oversize, unknownMember, orphan];
  const mixed = good.flatMap((request, i) =>
    i % 7 === 0 ? [request, ...poison.slice(i / 7, i / 7 + 1)] : [request],
  );
  const codes = await Promise.all(mixed.map((request) => codeOf(sequencer.append(systemLog, request))));
  const byPoison = poison.map((request) => codes[mixed.indexOf(request)]);
  expect(byPoison).toEqual([
    "entry_refused",
    "entry_refused",
    "conflict",
    "entry_refused",
    "entry_refused",
    "entry_refused",
  ]);
  expect(codes.filter((code) => code === "fulfilled")).toHaveLength(good.length);
  expect(await readLog()).toHaveLength(good.length + 1);
});

test("commits the other entry, without the rows, when a condition fails", async () => {
  const gone = user();
  await sequencer.append(systemLog, creation(gone));
  await sequencer.append(systemLog, offboarding(gone.id));
  const late = user();
  const result = await sequencer.append(systemLog, {
    ...dependent(gone.id),
    writes: [{ into: "user", row: late }],
  });
  expect(result).toEqual({
    committed: false,
    log: systemLog,
    index: 2,
    failed: [{ on: "user", id: gone.id, status: ["active"] }],
  });
  expect((await readLog())[2]).toMatchObject({ type: "mutation.refused", detail: { failed: ["user"] } });
  expect(await database.db.prisma.user.findUnique({ where: { id: late.id } })).toBeNull();
});

test("of two transitions that exclude one another, only the first takes effect", async () => {
  const row = user();
  await sequencer.append(systemLog, creation(row));
  const both = await Promise.all([1, 2, 3].map(() => sequencer.append(systemLog, offboarding(row.id))));
  expect(both.map(({ committed }) => committed)).toEqual([true, false, false]);
});

test("nothing that depends on a status is committed after its change, by this process or another", async () => {
  const otherDb = connectPatiently(database.target);
  const other = sequencerOn(otherDb);
  for (let round = 0; round < 20; round++) {
    const row = user();
    await sequencer.append(systemLog, creation(row));
    const uses = () =>
      Array.from({ length: 15 }, (_, i) => (i % 2 ? other : sequencer).append(systemLog, dependent(row.id)));
    const before = uses();
    const revocation = (round % 2 ? other : sequencer).append(systemLog, offboarding(row.id));
    const results = await Promise.all([...before, ...uses()]);
    const { index } = await revocation;
    for (const result of results) expect(result.committed).toBe(result.index < index);
  }
  await readLog();
  expect(committed.some(({ urgent }) => urgent)).toBe(true);
  await otherDb.close();
});

test("refuses to continue a log that has become shorter", async () => {
  await Promise.all([1, 2, 3].map(() => sequencer.append(systemLog, creation(user()))));
  await database.db.prisma.$executeRaw`DELETE FROM ledger_entry WHERE index >= 1`;
  await database.db.prisma.$executeRaw`UPDATE log SET next_index = 1`;
  expect(await codeOf(sequencer.append(systemLog, creation(user())))).toBe("ledger_behind");
  expect(await codeOf(sequencer.append(systemLog, creation(user())))).toBe("ledger_behind");
});

test("what a database says that went back in time is not believed, also when it did so meanwhile", async () => {
  let older = true;
  let asked = 0;
  const checkNotBehind = async () => {
    asked++;
    if (older) throw new DomainError("ledger_behind", "older");
  };
  const wary = sequencerOn(database.db, checkNotBehind);
  expect(await codeOf(wary.confirm(systemLog))).toBe("ledger_behind");
  expect(await codeOf(wary.append(systemLog, { entry: created }))).toBe("ledger_behind");
  older = false;
  for (let i = 0; i < 3; i++) await wary.confirm(systemLog);
  expect(asked).toBe(3);
  older = true;
  wary.doubt();
  expect(await codeOf(wary.confirm(systemLog))).toBe("ledger_behind");
});

test("an unknown log is refused, and a log is found once it exists", async () => {
  const log = "later" as LogId;
  expect(await codeOf(sequencer.append(log, { entry: created }))).toBe("not_found");
  await database.db.prisma
    .$executeRaw`INSERT INTO log (id, origin, created_at) VALUES ('later', 'test/log/later', now())`;
  expect(await codeOf(sequencer.append(log, { entry: created }))).toBe("fulfilled");
});

test("a database that fails refuses everyone, and is used again when it is back", async () => {
  let broken = true;
  const { prisma } = database.db;
  const failing = new Proxy(prisma, {
    get(target, name) {
      if (broken && (name === "$queryRawUnsafe" || name === "$transaction")) {
        return () => {
          const failure = Promise.reject(Object.assign(new Error("terminated"), { code: "57P01" }));
          failure.catch(() => undefined);
          return failure;
        };
      }
      return Reflect.get(target, name);
    },
  });
  const flaky = sequencerOn({ ...database.db, prisma: failing });
  expect(await Promise.all([1, 2].map(() => codeOf(flaky.append(systemLog, { entry: created }))))).toEqual([
    "ledger_unavailable",
    "ledger_unavailable",
  ]);
  broken = false;
  expect(await codeOf(flaky.append(systemLog, { entry: created }))).toBe("fulfilled");
});

test("close waits for what was handed in and refuses what comes later", async () => {
  const appends = Array.from({ length: 100 }, () => sequencer.append(systemLog, { entry: created }));
  await Promise.allSettled([appends[0], sequencer.close()]);
  expect(await codeOf(sequencer.append(systemLog, { entry: created }))).toBe("ledger_unavailable");
  await Promise.all(appends);
  expect(await readLog()).toHaveLength(100);
});

test("[SVI-040] a stop that waited for the head of its log is no earlier than what was committed meanwhile", async () => {
  const { prisma } = database.db;
  await prisma.$executeRaw`
    INSERT INTO node (id, organization_id, name, attestation, subject, selectors, status, attested_at)
    VALUES ('nod_late', 'default', 'late', 'join_token', 'late', '{}', 'active', now())`;
  let nowMs = Date.parse("2026-11-20T10:00:00Z");
  // Its first batch has no expected head, and waits for whoever holds it.
  const waiting = sequencerOn(database.db, undefined, () => nowMs);
  let stopping: ReturnType<Sequencer["append"]> | undefined;
  await prisma.$transaction(async (tx) => {
    await tx.$executeRaw`SELECT FROM log WHERE id = 'system' FOR UPDATE`;
    stopping = waiting.append(systemLog, {
      entry: created,
      writes: [{ set: "node", id: "nod_late", from: ["active"], to: "evicted" }],
      otherwise: () => refused,
    });
    await expect.poll(lockWaiters).toBe(1);
    nowMs += 5_000;
  });
  await expect(stopping).resolves.toMatchObject({ committed: true });
  const { stoppedAt } = await prisma.node.findUniqueOrThrow({ where: { id: "nod_late" } });
  expect(stoppedAt?.getTime()).toBe(nowMs);
  await waiting.close();
});

async function lockWaiters(): Promise<number> {
  const [row] = await database.db.prisma.$queryRaw<{ count: number }[]>`
    SELECT count(*)::int AS count FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  return row?.count ?? 0;
}
