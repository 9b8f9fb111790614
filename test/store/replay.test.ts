import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { UsedBefore } from "../../src/domain/domain-error.ts";
import type { Database } from "../../src/store/database.ts";
import { createReplayMemory, replayKey } from "../../src/store/replay.ts";
import { connectPatiently, openTestDatabase, runSql, type TestDatabase } from "../harness.ts";

const nowMs = Date.UTC(2026, 10, 23);
const inAMinute = new Date(nowMs + 60_000);
const now = () => nowMs;

describe("the memory of one-time values", () => {
  let database: TestDatabase;
  let second: Database;
  beforeAll(async () => {
    database = await openTestDatabase();
    second = connectPatiently(database.target);
  });
  afterAll(async () => {
    await second.close();
    await database.close();
  });
  beforeEach(() => database.db.prisma.replay.deleteMany());

  const keyOf = (value: string) => replayKey("client", "dpop_proof", value);
  const countRows = () => database.db.prisma.replay.count();

  it("accepts a value once", async () => {
    const { rememberOnce } = createReplayMemory({ db: database.db, now });
    expect(await rememberOnce(keyOf("a"), inAMinute)).toBe(true);
    expect(await rememberOnce(keyOf("a"), inAMinute)).toBe(false);
    expect(await rememberOnce(keyOf("b"), inAMinute)).toBe(true);
  });

  it("[RPL-001] lets exactly one of many concurrent callers through, in two processes and within one batch", async () => {
    const memories = [database.db, second].map((db) => createReplayMemory({ db, now }));
    const keys = Array.from({ length: 100 }, (_, i) => keyOf(String(i)));
    const calls = Array.from({ length: 1_000 }, (_, i) => {
      const memory = memories[i % 2];
      // One process meets the keys in the opposite order: neither may wait for the other in a circle.
      const key = keys[i % 2 === 0 ? (i >> 1) % 100 : 99 - ((i >> 1) % 100)];
      if (memory === undefined || key === undefined) throw new Error("there are two memories and 100 keys");
      return memory.rememberOnce(key, inAMinute).then((first) => (first ? [key] : []));
    });
    const wins = (await Promise.all(calls)).flat();
    expect(wins.toSorted()).toEqual(keys.toSorted());
    expect(await countRows()).toBe(100);
  });

  it("still knows a value after a restart", async () => {
    await createReplayMemory({ db: database.db, now }).rememberOnce(keyOf("a"), inAMinute);
    expect(await createReplayMemory({ db: database.db, now }).rememberOnce(keyOf("a"), inAMinute)).toBe(
      false,
    );
  });

  it("[FLT-020] uses a value up with its commit alone, and none that was used", async () => {
    const { rememberOnce, useUp } = createReplayMemory({ db: database.db, now });
    const write = { into: "replay", row: { key: keyOf("a"), expires_at: inAMinute } };
    expect(await useUp(keyOf("a"), inAMinute)).toEqual(write);
    expect(await countRows()).toBe(0);
    await rememberOnce(keyOf("a"), inAMinute);
    await expect(useUp(keyOf("a"), inAMinute)).rejects.toBeInstanceOf(UsedBefore);
    await runSql(database.target, "ALTER TABLE replay RENAME TO replay_gone");
    try {
      await expect(useUp(keyOf("b"), inAMinute)).rejects.toMatchObject({ code: "ledger_unavailable" });
    } finally {
      await runSql(database.target, "ALTER TABLE replay_gone RENAME TO replay");
    }
  });

  it("keeps values of different clients and kinds apart, under keys of one size", () => {
    const keys = [
      replayKey("a", "dpop_proof", "b"),
      replayKey("a", "client_assertion", "b"),
      replayKey("a,b", "dpop_proof", ""),
      replayKey("", "dpop_proof", "a,b"),
      replayKey("a", "dpop_proof", "\ud800 \0".repeat(10_000)),
    ];
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of keys) expect(key).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  it("[RPL-001] accepts nothing while the database can't say, and works again when it can", async () => {
    const { rememberOnce } = createReplayMemory({ db: database.db, now });
    await runSql(database.target, "ALTER TABLE replay RENAME TO replay_gone");
    const calls = Array.from({ length: 20 }, (_, i) => rememberOnce(keyOf(String(i % 5)), inAMinute));
    for (const call of await Promise.allSettled(calls)) {
      expect(call).toMatchObject({ status: "rejected", reason: { code: "ledger_unavailable" } });
    }
    await runSql(database.target, "ALTER TABLE replay_gone RENAME TO replay");
    expect(await rememberOnce(keyOf("0"), inAMinute)).toBe(true);
  });

  it("refuses rather than letting callers wait without bound", async () => {
    const { rememberOnce } = createReplayMemory({ db: database.db, now });
    const calls = Array.from({ length: 21_001 }, (_, i) => rememberOnce(keyOf(String(i)), inAMinute));
    const outcomes = await Promise.allSettled(calls);
    const refused = outcomes.filter(({ status }) => status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    for (const outcome of refused) expect(outcome).toMatchObject({ reason: { code: "ledger_unavailable" } });
    expect(await countRows()).toBe(outcomes.length - refused.length);
  });

  it("forgets what expired a while ago, however much it is, and nothing that may still be accepted", async () => {
    const { rememberOnce, purge } = createReplayMemory({ db: database.db, now });
    await runSql(
      database.target,
      `INSERT INTO replay SELECT 'old' || i, timestamptz '2026-11-22' FROM generate_series(1, 2500) i`,
    );
    await rememberOnce(keyOf("fresh"), inAMinute);
    await rememberOnce(keyOf("just expired"), new Date(nowMs - 1_000));
    await purge();
    expect(await countRows()).toBe(2);
    expect(await rememberOnce(keyOf("fresh"), inAMinute)).toBe(false);
    expect(await rememberOnce(keyOf("just expired"), inAMinute)).toBe(false);
  });
});
