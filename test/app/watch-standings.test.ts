import { systemLog } from "@countersign/sdk/model/ids";
import { expect, test, vi } from "vitest";
import { watchStandings } from "../../src/app/watch-standings.ts";
import { acmeLog, entryBody, openTestLedger } from "../ledger/ledger-fixture.ts";

test("how the logs stand is looked at every 5 s at most, and tiles are read only where it is in doubt", async () => {
  const ledger = await openTestLedger();
  await ledger.grow(3);
  await ledger.publisher.publishNow(systemLog);
  const clock = { ms: 0 };
  const recall = vi.fn(ledger.memory.recall);
  const standings = watchStandings({ ...ledger, memory: { ...ledger.memory, recall }, now: () => clock.ms });

  const first = await Promise.all(Array.from({ length: 5 }, standings));
  expect(first.every((found) => found.get(acmeLog) === "extends")).toBe(true);
  // Once for each log: whoever goes on to its tiles recalls a second time.
  expect(recall).toHaveBeenCalledTimes(2);
  clock.ms = 5_000;
  await standings();
  expect(recall).toHaveBeenCalledTimes(2);

  const older = { nextIndex: 2, publishedSize: 0, checkpoint: null };
  await ledger.db.prisma.log.update({ where: { id: acmeLog }, data: older });
  clock.ms = 5_001;
  expect((await standings()).get(acmeLog)).toBe("behind");
  await ledger.memory.setAside(acmeLog, new Date(0));
  clock.ms = 11_000;
  expect((await standings()).get(acmeLog)).toBe("missing");
  await ledger.close();
});

test("what nothing was remembered of is soon looked at again, and no oftener: a first start has not published it yet", async () => {
  const ledger = await openTestLedger();
  await ledger.append(acmeLog, { entry: entryBody(0) });
  const clock = { ms: 0 };
  const recall = vi.fn(ledger.memory.recall);
  const standings = watchStandings({ ...ledger, memory: { ...ledger.memory, recall }, now: () => clock.ms });
  expect((await standings()).get(acmeLog)).toBe("missing");
  const looks = recall.mock.calls.length;
  clock.ms = 200;
  await Promise.all(Array.from({ length: 10 }, standings));
  expect(recall).toHaveBeenCalledTimes(looks);
  await ledger.publisher.publishNow(acmeLog);
  await ledger.publisher.publishNow(systemLog);
  clock.ms = 201;
  expect((await standings()).get(acmeLog)).toBe("extends");
  await ledger.close();
});

test("what could not be looked at is looked at again at once", async () => {
  const ledger = await openTestLedger();
  await ledger.append(acmeLog, { entry: entryBody(0) });
  await ledger.publisher.publishNow(acmeLog);
  let away = true;
  const recall: typeof ledger.memory.recall = (log) =>
    away ? Promise.reject(new Error("away")) : ledger.memory.recall(log);
  const standings = watchStandings({ ...ledger, memory: { ...ledger.memory, recall }, now: () => 0 });
  await expect(standings()).rejects.toThrow("away");
  away = false;
  expect((await standings()).get(acmeLog)).toBe("extends");
  await ledger.close();
});
