import { type LogId, systemLog } from "@countersign/sdk/model/ids";
import { afterAll, afterEach, expect, test } from "vitest";
import type { FollowerBatch } from "../../src/domain/follower.ts";
import { type Follower, type FollowLedgerDeps, followLedger } from "../../src/followers/follow-ledger.ts";
import { findCursor, listFollowerBatches, moveCursor } from "../../src/store/follower-cursors.ts";
import { acmeLog, entryBody, openTestLedger } from "../ledger/ledger-fixture.ts";

const name = "agent-history";
const ledger = await openTestLedger();
const { db } = ledger;
afterEach(async () => {
  await db.prisma.followerCursor.deleteMany();
});
afterAll(() => ledger.close());
await ledger.grow(25);
const installed = await ledger.append(systemLog, {
  entry: { type: "installation.created", actor: { kind: "system", id: "t" } },
});
await ledger.publisher.publishNow(systemLog);
const ofAll = [
  [0, 10],
  [10, 20],
  [20, 25],
];

const deps = (onFailed: FollowLedgerDeps["onFailed"] = failed): FollowLedgerDeps => ({
  listBatches: ({ entriesAtOnce }, logs) => listFollowerBatches(db, name, entriesAtOnce, logs),
  onFailed,
});

function failed(error: unknown): never {
  throw error;
}

const placesOf = (log: LogId, batches: readonly FollowerBatch[]) =>
  batches.filter((batch) => batch.log === log).map(({ from, to }) => [from, to]);

/** A follower that notes what it is given, then moves its cursor; `done` with the last entry of the log `acme`. */
function noter(between: (batch: FollowerBatch) => Promise<void> = async () => undefined) {
  const given: FollowerBatch[] = [];
  const moved: FollowerBatch[] = [];
  const done = Promise.withResolvers<void>();
  const follower: Follower = {
    name,
    entriesAtOnce: 10,
    handle: async (batch) => {
      given.push(batch);
      await between(batch);
      if (!(await moveCursor(db.prisma, batch))) return false;
      moved.push(batch);
      if (batch.log === acmeLog && batch.to === 25) done.resolve();
      return true;
    },
  };
  return { follower, given, moved, done: done.promise };
}

test("each entry under a checkpoint is handled in order and once, and none beyond it", async () => {
  await ledger.append(acmeLog, { entry: entryBody(25) });
  const { follower, given, done } = noter();
  const following = followLedger(deps(), follower);
  following.wake();
  await done;
  await following.close();
  expect(placesOf(acmeLog, given)).toEqual(ofAll);
  expect(await findCursor(db, name, acmeLog)).toBe(25);
});

test("a batch whose handling crashed before the cursor moved comes again, and holds up no other log", async () => {
  const failures: unknown[] = [];
  let away = true;
  const { follower, given, moved, done } = noter(async ({ log, from }) => {
    if (away && log === acmeLog && from === 10) throw new Error("away");
  });
  const told = Promise.withResolvers<void>();
  const following = followLedger(
    deps((error) => {
      failures.push(error);
      told.resolve();
    }),
    follower,
  );
  following.wake();
  await told.promise;
  expect(await findCursor(db, name, acmeLog)).toBe(10);
  away = false;
  following.wake();
  await done;
  await following.close();
  expect(failures).toEqual([new Error("away")]);
  expect(placesOf(acmeLog, given)).toEqual([[0, 10], [10, 20], ...ofAll.slice(1)]);
  expect(placesOf(acmeLog, moved)).toEqual(ofAll);
  expect(await findCursor(db, name, systemLog)).toBe(installed.index + 1);
});

test("of two that were given the same batch one moves the cursor and goes on, and the other leaves it the log", async () => {
  const both = Promise.withResolvers<void>();
  let met = 0;
  const meet = async ({ log, from }: FollowerBatch) => {
    if (log !== acmeLog || from > 0) return;
    if (++met === 2) both.resolve();
    await both.promise;
  };
  const two = [noter(meet), noter(meet)];
  const followings = two.map(({ follower }) => followLedger(deps(), follower));
  for (const following of followings) following.wake();
  await Promise.race(two.map(({ done }) => done));
  await Promise.all(followings.map((following) => following.close()));
  expect(two.map(({ moved }) => placesOf(acmeLog, moved)).sort()).toEqual([[], ofAll]);
  expect(two.map(({ given }) => placesOf(acmeLog, given).length).sort()).toEqual([1, 3]);
});

test.each([
  { answer: true, handled: 2, failures: 2 },
  { answer: false, handled: 1, failures: 1 },
])(
  "a batch that comes again though its handling answered $answer is a failure, left until woken",
  async (row) => {
    let handled = 0;
    const failures: (LogId | undefined)[] = [];
    const told = Promise.withResolvers<void>();
    const handle = async () => {
      handled++;
      return row.answer;
    };
    const onFailed: FollowLedgerDeps["onFailed"] = (_, __, log) => {
      if (failures.push(log) === row.failures) told.resolve();
    };
    const following = followLedger(deps(onFailed), { name, entriesAtOnce: 10, handle });
    following.wake(acmeLog);
    following.wake(acmeLog);
    await told.promise;
    await following.close();
    expect(failures).toEqual(Array(row.failures).fill(acmeLog));
    expect(handled).toBe(row.handled);
  },
);

test("what is woken for one log asks for the batches of that log only", async () => {
  const { follower, given, done } = noter();
  const following = followLedger(deps(), follower);
  following.wake(acmeLog);
  await done;
  await following.close();
  expect(placesOf(acmeLog, given)).toEqual(ofAll);
  expect(placesOf(systemLog, given)).toEqual([]);
});

test("a cursor moves from where it stands and from nowhere else, also one that is not there yet", async () => {
  const move = (from: number, to: number) =>
    moveCursor(db.prisma, { follower: name, log: acmeLog, from, to });
  expect(await move(10, 20)).toBe(false);
  expect(await findCursor(db, name, acmeLog)).toBe(0);
  expect(await move(0, 10)).toBe(true);
  expect(await move(0, 10)).toBe(false);
  expect(await move(20, 25)).toBe(false);
  expect(await findCursor(db, name, acmeLog)).toBe(10);
  expect(await move(10, 20)).toBe(true);
  expect(await findCursor(db, name, acmeLog)).toBe(20);
});

test("nothing begins once it is closed", async () => {
  const { follower, given } = noter();
  const following = followLedger(deps(), follower);
  await following.close();
  following.wake();
  await following.close();
  expect(given).toEqual([]);
});
