import { systemLog } from "@countersign/sdk/model/ids";
import { afterAll, afterEach, expect, test } from "vitest";
import type { FollowerBatch } from "../../src/domain/follower.ts";
import { type Follower, followLedger } from "../../src/followers/follow-ledger.ts";
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

const deps = (onFailed: (error: unknown) => void = failed) => ({
  listBatches: (follower: typeof name, entriesMax: number) => listFollowerBatches(db, follower, entriesMax),
  onFailed,
});

function failed(error: unknown): never {
  throw error;
}

/** A follower that delivers to a list, and moves its cursor afterwards; `delivered` ends with the log's last entry. */
function deliverer(before: (batch: FollowerBatch) => Promise<void> = async () => undefined) {
  const delivered: FollowerBatch[] = [];
  const moves: boolean[] = [];
  const done = Promise.withResolvers<void>();
  const follower: Follower = {
    name,
    entriesAtOnce: 10,
    handle: async (batch) => {
      await before(batch);
      delivered.push(batch);
      moves.push(await moveCursor(db.prisma, name, batch));
      if (batch.log === acmeLog && batch.to === 25) done.resolve();
    },
  };
  const ofAcme = () => delivered.filter(({ log }) => log === acmeLog).map(({ from, to }) => [from, to]);
  return { follower, ofAcme, moves, done: done.promise };
}

test("each entry under a checkpoint is handled in order and once, and none beyond it", async () => {
  await ledger.append(acmeLog, { entry: entryBody(25) });
  const { follower, ofAcme, done } = deliverer();
  const following = followLedger(deps(), follower);
  following.wake();
  await done;
  await following.close();
  expect(ofAcme()).toEqual([
    [0, 10],
    [10, 20],
    [20, 25],
  ]);
  expect(await findCursor(db, name, acmeLog)).toBe(25);
  expect((await db.prisma.log.findUniqueOrThrow({ where: { id: acmeLog } })).nextIndex).toBe(26n);
});

test("a batch that failed comes again with the next notice, and holds up no other log", async () => {
  await ledger.append(systemLog, {
    entry: { type: "installation.created", actor: { kind: "system", id: "t" } },
  });
  await ledger.publisher.publishNow(systemLog);
  const failures: unknown[] = [];
  let away = true;
  const { follower, ofAcme, done } = deliverer(async ({ log, from }) => {
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
  away = false;
  following.wake();
  await done;
  await following.close();
  expect(failures).toEqual([new Error("away")]);
  expect(ofAcme()).toEqual([
    [0, 10],
    [10, 20],
    [20, 25],
  ]);
  const { publishedSize } = await db.prisma.log.findUniqueOrThrow({ where: { id: systemLog } });
  expect(await findCursor(db, name, systemLog)).toBe(Number(publishedSize));
});

test("of two that were given the same batch one moves the cursor, and both go on from there", async () => {
  const both = Promise.withResolvers<void>();
  let met = 0;
  const meet = async ({ log, from }: FollowerBatch) => {
    if (log !== acmeLog || from > 0) return;
    if (++met === 2) both.resolve();
    await both.promise;
  };
  const one = deliverer(meet);
  const other = deliverer(meet);
  const followings = [one, other].map(({ follower }) => followLedger(deps(), follower));
  for (const following of followings) following.wake();
  await Promise.race([one.done, other.done]);
  await Promise.all(followings.map((following) => following.close()));
  expect(one.ofAcme()[0]).toEqual([0, 10]);
  expect(other.ofAcme()[0]).toEqual([0, 10]);
  const handled = [...one.ofAcme(), ...other.ofAcme()].map(String);
  expect(new Set(handled)).toEqual(new Set(["0,10", "10,20", "20,25"]));
  const moved = [...one.moves, ...other.moves].filter((it) => it).length;
  const logs = await db.prisma.followerCursor.count();
  expect(moved).toBe(3 + (logs - 1));
});

test("nothing begins once it is closed", async () => {
  const { follower, ofAcme } = deliverer();
  const following = followLedger(deps(), follower);
  await following.close();
  following.wake();
  await following.close();
  expect(ofAcme()).toEqual([]);
});
