import { randomBytes } from "node:crypto";
import { newId } from "@countersign/sdk/model/ids";
import { afterAll, afterEach, expect, test } from "vitest";
import type { FollowerBatch } from "../../src/domain/follower.ts";
import { agentHistory } from "../../src/followers/agent-history/agent-history.ts";
import { type Following, followLedger } from "../../src/followers/follow-ledger.ts";
import { addAgentEntries, readAgentHistory } from "../../src/store/agent-entries.ts";
import { findCursor, listFollowerBatches } from "../../src/store/follower-cursors.ts";
import { connectPatiently } from "../harness.ts";
import { acmeLog, entryBody, failed, openTestLedger } from "../ledger/ledger-fixture.ts";

const ledger = await openTestLedger();
const { db } = ledger;
const other = connectPatiently(ledger.database.target);
afterEach(async () => {
  await db.prisma.followerCursor.deleteMany();
  await db.prisma.agentEntry.deleteMany();
});
afterAll(async () => {
  await other.close();
  await ledger.close();
});
const agent = newId("agent", Date.now(), randomBytes(16));
/** Where each of 35 entries is in which the Agent acted, newest first, as the log said when they were appended. */
const acted = (
  await Promise.all(
    Array.from({ length: 35 }, async (_, i) => {
      return (await ledger.append(acmeLog, { entry: { ...entryBody(i), agent } })).index;
    }),
  )
).sort((a, b) => b - a);
await ledger.publisher.publishNow(acmeLog);

const historyOf = async () =>
  (await readAgentHistory(db, acmeLog, agent, { limit: 100 })).entries.map(({ index }) => index);

test("[REG-003] two servers that follow one log note each entry once", async () => {
  const moved: FollowerBatch[] = [];
  const done = Promise.withResolvers<void>();
  const servers: Following[] = [];
  for (const handle of [db, other]) {
    const history = agentHistory({
      addAgentEntries: async (batch) => {
        const isMoved = await addAgentEntries(handle, batch);
        if (isMoved) moved.push(batch);
        // So that both are at each batch.
        for (const server of servers) server.wake(acmeLog);
        if (isMoved && batch.to === 35) done.resolve();
        return isMoved;
      },
    });
    const deps = {
      listBatches: () => listFollowerBatches(handle, history.name, 5, [acmeLog]),
      onFailed: (error: unknown) => failed(`a follower failed: ${error}`),
    };
    servers.push(followLedger(deps, history));
  }
  for (const server of servers) server.wake();
  await done.promise;
  await Promise.all(servers.map((server) => server.close()));
  expect(moved.map(({ from }) => from).sort((a, b) => a - b)).toEqual([0, 5, 10, 15, 20, 25, 30]);
  expect(await historyOf()).toEqual(acted);
});

test("[REG-003] where the entries can't be noted, the cursor is where it was", async () => {
  const batch = { follower: "agent-history", log: acmeLog, from: 10, to: 20 } as const;
  expect(await addAgentEntries(db, { ...batch, from: 0, to: 10 })).toBe(true);
  const inTheWay = { agentId: agent, logId: acmeLog, index: 13n };
  await db.prisma.agentEntry.create({ data: inTheWay });
  await expect(addAgentEntries(db, batch)).rejects.toThrow("agent_entry");
  expect(await findCursor(db, batch.follower, acmeLog)).toBe(10);
  await db.prisma.agentEntry.deleteMany({ where: inTheWay });
  expect(await addAgentEntries(db, batch)).toBe(true);
  expect(await findCursor(db, batch.follower, acmeLog)).toBe(20);
  expect(await historyOf()).toEqual(acted.slice(15));
});
