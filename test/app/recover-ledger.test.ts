import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type LogId, parseLogId, systemLog } from "@countersign/sdk/model/ids";
import { expect, test } from "vitest";
import { recoverLedger } from "../../src/app/recover-ledger.ts";
import { watchHealth } from "../../src/app/watch-health.ts";
import type { Config } from "../../src/config.ts";
import { openCheckpointMemory } from "../../src/ledger/checkpoint-memory.ts";
import { findLog } from "../../src/store/logs.ts";
import { failed } from "../ledger/ledger-fixture.ts";
import { makeLedgerInstallation } from "./installation.ts";

const defaultLog = parseLogId("default") ?? failed("default is the name of a log");
const actor = { kind: "system", id: "test" } as const;

/** Both logs of the installation grow, and then its database is set back to before that. */
async function setBack() {
  const installation = await makeLedgerInstallation();
  const grow = (count: number) =>
    installation.use(async ({ sequencer, publisher }) => {
      for (const log of [defaultLog, systemLog]) {
        for (let i = 0; i < count; i++) {
          await sequencer.append(log, { entry: { type: "mutation.refused", actor } });
        }
        await publisher.publishNow(log);
      }
    });
  await grow(1);
  const older = await installation.backUp();
  await grow(5);
  return { ...installation, older };
}

/** As an operator does it: first one is told what is lost, and then accepts it. */
async function recover(config: Config, log: LogId) {
  const told = await recoverLedger(config, { log }).catch((error: Error) => error);
  if (!(told instanceof Error)) throw new Error("the log needed no acceptance");
  const accept = /accept the root (\S+)$/.exec(told.message)?.[1] ?? "";
  return recoverLedger(config, { log, accept });
}

test.each([
  [systemLog, defaultLog],
  [defaultLog, systemLog],
])("[FLT-005] recovering %s leaves %s as it is, behind or not", async (first, second) => {
  const { use, older } = await setBack();
  const [before, other] = [await findLog(older.db, first), await findLog(older.db, second)];
  const memory = await openCheckpointMemory(older.config.dataDir);
  const remembered = await memory.recall(second);

  await expect(recoverLedger(older.config, { log: first })).rejects.toMatchObject({ code: "conflict" });
  expect(await findLog(older.db, first)).toEqual(before);
  const { index, evidence } = await recover(older.config, first);
  expect(index).toBe(before?.nextIndex);
  expect(await findLog(older.db, second)).toEqual(other);
  expect(await memory.recall(second)).toEqual(remembered);

  const after = await findLog(older.db, first);
  expect((await recover(older.config, second)).index).toBe(other?.nextIndex);
  expect(await findLog(older.db, first)).toEqual(after);
  expect(await readFile(evidence ?? "", "utf8")).toContain(`/log/${first}\n`);

  await use(async ({ sequencer }) => {
    for (const log of [first, second])
      await sequencer.append(log, { entry: { type: "mutation.refused", actor } });
  }, older.config);
});

test("[FLT-005] recovery makes nothing in a database that lacks the log", async () => {
  const { older } = await setBack();
  await older.db.prisma.$executeRaw`DELETE FROM ledger_entry`;
  await older.db.prisma.log.deleteMany();
  await expect(recoverLedger(older.config, { log: defaultLog })).rejects.toMatchObject({ code: "not_found" });
  expect(await older.db.prisma.log.count()).toBe(0);
});

test("the server's status says of each log how it stands to what is remembered", async () => {
  const { config, use, older } = await setBack();
  const statesIn = (given: Config) =>
    use(async (ledger) => {
      const told: string[] = [];
      const { checks, status } = watchHealth(ledger, {
        issuer: given.issuer,
        warnings: [],
        workloads: () => undefined,
        onBroken: (logs) => told.push(logs),
      });
      const found = (await status(ledger.organization)).checks;
      return {
        reason: await checks.find(({ name }) => name === "ledger")?.run(),
        told,
        logs: found
          .filter(({ name }) => name.startsWith("log "))
          .map(({ name, state }) => `${name} ${state}`),
        details: found.map(({ detail }) => detail).join("\n"),
      };
    }, given);

  expect(await statesIn(config)).toMatchObject({
    reason: undefined,
    logs: ["log system ok", "log default ok"],
  });
  const behind = await statesIn(older.config);
  expect(behind.logs).toEqual(["log system failed", "log default failed"]);
  expect(behind.reason).toContain("countersign ledger recover");
  // Everybody reads the reason, the server's own log names them: once, however often somebody asks.
  expect(behind.reason).not.toContain("default");
  expect(behind.told).toEqual([expect.stringMatching(/^log default: .*; log system: /)]);
  const forgetful = { ...config, dataDir: join(config.dataDir, "new") };
  const missing = await statesIn(forgetful);
  expect(missing).toMatchObject({ reason: undefined, logs: ["log system warning", "log default warning"] });
  expect(missing.details).toContain("nobody here would notice");
});
