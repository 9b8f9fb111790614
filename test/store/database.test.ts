import { setTimeout as delay } from "node:timers/promises";
import { afterAll, describe, expect, test, vi } from "vitest";
import { connectDatabase } from "../../src/store/database.ts";
import { isConnectionFailure, isUnfitForStorage, uniqueViolationOf } from "../../src/store/database-error.ts";
import { openTestDatabase, runSql, silentLog } from "../harness.ts";

const database = await openTestDatabase();
afterAll(() => database.close());
const { prisma } = database.db;

const organization = { id: "org", name: "Org", createdAt: new Date(0) };
await prisma.organization.create({ data: organization });

/** What the promise is rejected with. */
async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("nothing failed");
}

describe("errors", () => {
  test("name the unique index that was hit, however it was hit", async () => {
    const insert = "INSERT INTO organization VALUES ('org', 'x', now())";
    for (const attempt of [
      () => prisma.organization.create({ data: organization }),
      () => prisma.$queryRaw`INSERT INTO organization VALUES ('org', 'x', now())`,
      () => prisma.$executeRawUnsafe("INSERT INTO organization VALUES ($1, 'x', now())", "org"),
      () => prisma.$transaction([prisma.organization.create({ data: organization })]),
      () => prisma.$transaction((tx) => tx.$queryRawUnsafe(insert)),
      () => runSql(database.target, insert),
    ]) {
      const error = await errorOf(attempt());
      expect(uniqueViolationOf(error)).toBe("organization_pkey");
      expect(isUnfitForStorage(error)).toBe(true);
      expect(isConnectionFailure(error)).toBe(false);
    }
  });

  test("tell values that can't be stored from a database that can't store", async () => {
    const create = (id: string, status: string) =>
      prisma.$queryRaw`INSERT INTO "user" VALUES (${id}, 'org', 'n', null, ${status}, now())`;
    for (const attempt of [
      prisma.organization.create({ data: { ...organization, id: "a\0b" } }),
      create("u", "no such status"),
      create("u\0", "active"),
      prisma.$queryRaw`INSERT INTO organization VALUES ('p', null, now())`,
      prisma.$queryRaw`INSERT INTO "user" VALUES ('u', 'no such org', 'n', null, 'active', now())`,
      prisma.$queryRaw`SELECT * FROM json_to_recordset('[{"a":"\\ud800"}]'::json) AS t(a text)`,
    ]) {
      const error = await errorOf(attempt);
      expect(isUnfitForStorage(error)).toBe(true);
      expect(uniqueViolationOf(error)).toBeUndefined();
      expect(isConnectionFailure(error)).toBe(false);
    }
    const mistake = await errorOf(prisma.$queryRaw`SELEC`);
    expect([isUnfitForStorage(mistake), isConnectionFailure(mistake)]).toEqual([false, false]);
  });

  test("tell that the database is not there, whoever asks it for what", async () => {
    const nowhere = connectDatabase({ log: silentLog }, { ...database.target, host: "127.0.0.1", port: 1 });
    const noSocket = connectDatabase({ log: silentLog }, { ...database.target, host: "/nonexistent" });
    for (const { prisma: absent, close } of [nowhere, noSocket]) {
      for (const attempt of [
        () => absent.organization.count(),
        () => absent.$queryRaw`SELECT 1`,
        () => absent.$transaction([absent.$queryRaw`SELECT 1`]),
        () => absent.$transaction((tx) => tx.$queryRaw`SELECT 1`),
      ]) {
        expect(isConnectionFailure(await errorOf(attempt()))).toBe(true);
      }
      await close();
      expect(isConnectionFailure(await errorOf(absent.organization.count()))).toBe(true);
    }
  });

  test("tell of a connection that was cut in the middle, and the next query gets another", async () => {
    const error = await errorOf(prisma.$queryRaw`SELECT pg_terminate_backend(pg_backend_pid())`);
    expect(isConnectionFailure(error)).toBe(true);
    expect(await prisma.organization.count()).toBe(1);
  });

  test("see nothing in what is no error of the database", () => {
    const ring: { cause?: unknown } = {};
    ring.cause = ring;
    for (const other of [undefined, null, "57P01", new Error("boom"), ring]) {
      expect(isConnectionFailure(other)).toBe(false);
      expect(uniqueViolationOf(other)).toBeUndefined();
      expect(isUnfitForStorage(other)).toBe(false);
    }
  });
});

describe("a database that hangs", () => {
  // Each is patient but for the one limit that its test is about: a machine may be slow meanwhile.
  const patient = {
    connectionsMax: 1,
    connectTimeoutMs: 30_000,
    statementTimeoutMs: 30_000,
    silenceMs: 40_000,
  };

  test("fails a statement that takes too long", async () => {
    const limits = { ...patient, statementTimeoutMs: 300 };
    const hasty = connectDatabase({ log: silentLog }, database.target, limits);
    expect(isConnectionFailure(await errorOf(hasty.prisma.$executeRaw`SELECT pg_sleep(30)`))).toBe(true);
    await hasty.close();
  });

  test.each(["a query", "a transaction"])(
    "fails %s that gets no answer, and never uses its connection again",
    async (kind) => {
      const limits = { ...patient, silenceMs: 3_000 };
      const hasty = connectDatabase({ log: silentLog }, database.target, limits);
      const [backend] = await hasty.prisma.$queryRaw<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
      const pid = backend?.pid ?? 0;
      process.kill(pid, "SIGSTOP");
      try {
        const query = hasty.prisma.$queryRaw`SELECT 1`;
        expect(
          isConnectionFailure(await errorOf(kind === "a query" ? query : hasty.prisma.$transaction([query]))),
        ).toBe(true);
        expect(await hasty.prisma.organization.count()).toBe(1);
      } finally {
        process.kill(pid, "SIGCONT");
        await hasty.close();
      }
    },
  );
});

describe("statements", () => {
  test("are prepared once per connection, under one name per text", async () => {
    const one = connectDatabase({ log: silentLog }, database.target);
    const count = () => one.prisma.$queryRaw`SELECT count(*) AS same_text FROM organization`;
    const [, , prepared] = await one.prisma.$transaction([
      count(),
      count(),
      one.prisma.$queryRaw<{ name: string }[]>`
        SELECT name FROM pg_prepared_statements WHERE statement LIKE '%same_text%' AND statement NOT LIKE '%LIKE%'`,
    ]);
    expect(prepared).toEqual([{ name: expect.stringMatching(/^[\w-]{22}$/) }]);
    await one.close();
  });
});

describe("notifications", () => {
  const notify = (channel: string, payload: string) =>
    database.db.prisma.$executeRaw`SELECT pg_notify(${channel}, ${payload})`;

  test("reach every listener of their channel, whichever handle sent them", async () => {
    const other = connectDatabase({ log: silentLog }, database.target);
    const [here, there, elsewhere] = [vi.fn(), vi.fn(), vi.fn()];
    await database.db.listen("changed", { onMessage: here, onGap: vi.fn() });
    await other.listen("changed", { onMessage: there, onGap: vi.fn() });
    await other.listen("Other Channel", { onMessage: elsewhere, onGap: vi.fn() });
    await notify("changed", "x");
    await expect.poll(() => [here.mock.calls, there.mock.calls]).toEqual([[["x"]], [["x"]]]);
    await notify("Other Channel", "y");
    await expect.poll(() => elsewhere.mock.calls).toEqual([["y"]]);
    expect(here.mock.calls).toEqual([["x"]]);
    await other.close();
  });

  test("are heard again after their connection broke, and the gap is told", async () => {
    const [onMessage, onGap] = [vi.fn(), vi.fn()];
    await database.db.listen("mended", { onMessage, onGap });
    await runSql(
      database.target,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'countersign listen' AND datname = current_database()`,
    );
    await expect.poll(() => onGap.mock.calls.length).toBe(1);
    await notify("mended", "z");
    await expect.poll(() => onMessage.mock.calls).toEqual([["z"]]);
  });

  test("are no longer heard by who stopped listening", async () => {
    const [left, right] = [vi.fn(), vi.fn()];
    const stop = await database.db.listen("shared", { onMessage: left, onGap: vi.fn() });
    await database.db.listen("shared", { onMessage: right, onGap: vi.fn() });
    await stop();
    await stop();
    await notify("shared", "x");
    await expect.poll(() => right.mock.calls).toEqual([["x"]]);
    await delay(20);
    expect(left).not.toHaveBeenCalled();
  });
});
