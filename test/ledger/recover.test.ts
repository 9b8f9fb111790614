import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LedgerActor } from "@countersign/sdk/contract/ledger-entry";
import { parseCheckpoint } from "@countersign/sdk/tlog/checkpoint";
import { parseNote } from "@countersign/sdk/tlog/note";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkNotBehind, standingOf } from "../../src/ledger/check-log.ts";
import { openCheckpointMemory } from "../../src/ledger/checkpoint-memory.ts";
import { createPublisher } from "../../src/ledger/publisher.ts";
import { inspectLog, recoverLog } from "../../src/ledger/recover.ts";
import type { Sequencer } from "../../src/ledger/sequencer.ts";
import { readEntries } from "../../src/store/ledger-entries.ts";
import { findLog } from "../../src/store/logs.ts";
import { acmeLog, entryBody, openTestLedger, sequencerOf, type TestLedger } from "./ledger-fixture.ts";

const actor: LedgerActor = { kind: "operator", id: "opr_local" };
let ledger: TestLedger;
let careless: Sequencer;
beforeEach(async () => {
  ledger = await openTestLedger();
  careless = sequencerOf(ledger.db);
});
afterEach(async () => {
  await careless.close();
  await ledger.close();
});

const sql = (statement: string) => ledger.db.prisma.$executeRawUnsafe(statement);
const recover = (accept?: string) =>
  recoverLog(
    {
      ...ledger,
      append: careless.append,
      publishNow: ledger.publisher.publishNow,
      now: () => ledger.clock.ms,
    },
    { log: acmeLog, actor, ...(accept === undefined ? {} : { accept }) },
  );
const standing = async () => (await standingOf(ledger, acmeLog)).state;

/** Sets the database back to an earlier state, as restoring a backup does. */
async function backup(): Promise<() => Promise<void>> {
  const log = await ledger.db.prisma.log.findUniqueOrThrow({ where: { id: acmeLog } });
  const tiles = await ledger.db.prisma.tile.findMany({ where: { logId: acmeLog } });
  return async () => {
    await sql(`DELETE FROM ledger_entry WHERE log_id = 'acme' AND index >= ${log.nextIndex}`);
    await ledger.db.prisma.log.update({ where: { id: acmeLog }, data: log });
    await ledger.db.prisma.tile.deleteMany({ where: { logId: acmeLog } });
    await ledger.db.prisma.tile.createMany({ data: tiles });
  };
}

describe("a database that was set back in time", () => {
  test("is noticed: nothing is appended or signed until it is recovered", async () => {
    await ledger.grow(300);
    const restore = await backup();
    await ledger.grow(100);
    await restore();
    expect(await standing()).toBe("behind");
    await expect(checkNotBehind(ledger, acmeLog)).rejects.toMatchObject({ code: "ledger_behind" });
    const restarted = sequencerOf(ledger.db, ledger.memory);
    await expect(restarted.append(acmeLog, { entry: entryBody(0) })).rejects.toMatchObject({
      code: "ledger_behind",
    });
    await restarted.close();
    expect((await findLog(ledger.db, acmeLog))?.nextIndex).toBe(300);
  });

  test("is noticed also when somebody wrote on before anyone looked", async () => {
    await ledger.grow(300);
    const restore = await backup();
    await ledger.grow(100);
    await restore();
    for (let i = 0; i < 150; i++) await careless.append(acmeLog, { entry: entryBody(i) });
    expect(await standing()).toBe("forked");
    await expect(checkNotBehind(ledger, acmeLog)).rejects.toMatchObject({ code: "ledger_behind" });
    await expect(ledger.publisher.publishNow(acmeLog)).rejects.toMatchObject({ code: "ledger_behind" });
  });

  test("is noticed when the whole log is gone", async () => {
    await ledger.grow(3);
    await sql("DELETE FROM log WHERE id = 'acme'");
    await expect(checkNotBehind(ledger, acmeLog)).rejects.toMatchObject({ code: "ledger_behind" });
  });

  test("is not noticed by a server with a memory of its own that is empty, which says so", async () => {
    await ledger.grow(300);
    const dataDir = await mkdtemp(join(tmpdir(), "countersign-memory-"));
    const memory = await openCheckpointMemory(dataDir);
    expect((await standingOf({ db: ledger.db, memory }, acmeLog)).state).toBe("missing");
    await checkNotBehind({ db: ledger.db, memory }, acmeLog);
    await rm(dataDir, { recursive: true });
  });

  test("goes on only from the state that the operator looked at, and tells of the fork for ever", async () => {
    await ledger.grow(300);
    const restore = await backup();
    await ledger.grow(100);
    const signed = await ledger.memory.recall(acmeLog);
    await restore();
    const report = await inspectLog(ledger, acmeLog);
    expect(report).toMatchObject({
      state: "behind",
      present: { size: 300 },
      remembered: { size: 400, note: signed?.note },
      lost: { from: 300, to: 400 },
      published: { holds: true },
      tilesWrong: 0,
    });
    for (const accept of [undefined, "", report.remembered?.root]) {
      await expect(recover(accept)).rejects.toMatchObject({ code: "conflict" });
    }
    const { index, evidence, checkpoint } = await recover(report.present.root);
    expect(index).toBe(300);
    expect(checkpoint.size).toBe(301);
    expect(await readFile(evidence ?? "", "utf8")).toBe(signed?.note);
    const [entry] = await readEntries(ledger.db, acmeLog, 300, 301);
    expect(JSON.parse(entry?.entry ?? "")).toMatchObject({
      type: "log.recovered",
      actor,
      cause: "behind",
      detail: {
        present_size: 300,
        present_root: report.present.root,
        remembered_size: 400,
        remembered_root: report.remembered?.root,
        remembered_checkpoint: signed?.note,
      },
    });
    for (let i = 0; i < 120; i++) await careless.append(acmeLog, { entry: entryBody(i) });
    await ledger.publisher.publishNow(acmeLog);
    expect(await standing()).toBe("extends");
    expect(await ledger.verify()).toMatchObject({ ok: true, size: 421, recoveries: [300] });
  });

  test("that was written on goes on from there", async () => {
    await ledger.grow(300);
    const restore = await backup();
    await ledger.grow(100);
    await restore();
    for (let i = 0; i < 150; i++) await careless.append(acmeLog, { entry: entryBody(i) });
    const report = await inspectLog(ledger, acmeLog);
    expect(report).toMatchObject({ state: "forked", present: { size: 450 }, remembered: { size: 400 } });
    expect(report.lost).toBeUndefined();
    expect(await recover(report.present.root)).toMatchObject({ index: 450, checkpoint: { size: 451 } });
    expect(await ledger.verify()).toMatchObject({ ok: true, size: 451, recoveries: [450] });
  });

  test("can be recovered again after a crash between the entry and the end", async () => {
    await ledger.grow(30);
    const restore = await backup();
    await ledger.grow(10);
    await restore();
    const { present } = await inspectLog(ledger, acmeLog);
    const crash = { ...ledger.memory, setAside: () => Promise.reject(new Error("crash")) };
    const deps = {
      ...ledger,
      memory: crash,
      append: careless.append,
      publishNow: ledger.publisher.publishNow,
      now: Date.now,
    };
    await expect(recoverLog(deps, { log: acmeLog, accept: present.root, actor })).rejects.toThrow("crash");
    expect(await standing()).toBe("behind");
    const again = await inspectLog(ledger, acmeLog);
    await recover(again.present.root);
    expect(await standing()).toBe("extends");
    expect(await ledger.verify()).toMatchObject({ ok: true, recoveries: [30, 31] });
  });
});

describe("recovery", () => {
  test("of a log that is as it was signed changes nothing", async () => {
    await ledger.grow(300);
    const before = await ledger.exportLines();
    expect(await recover()).toMatchObject({ report: { state: "extends", tilesWrong: 0 } });
    expect(await ledger.exportLines()).toEqual(before);
  });

  test("makes tiles anew from the entries", async () => {
    await ledger.grow(800);
    const before = await ledger.exportLines();
    await sql("DELETE FROM tile WHERE index = 0");
    await sql("UPDATE tile SET hashes = set_byte(hashes, 5, 1 # get_byte(hashes, 5)) WHERE index = 1");
    await sql("UPDATE tile SET root = sha256('x') WHERE index = 2");
    expect(await inspectLog(ledger, acmeLog)).toMatchObject({ state: "extends", tilesWrong: 3 });
    expect(await ledger.verify()).toMatchObject({ ok: false });
    expect(await recover()).toMatchObject({ report: { tilesWrong: 3 } });
    expect(await ledger.exportLines()).toEqual(before);
  });

  test("names the entry that is not what was committed, and accepts no such tree", async () => {
    await ledger.grow(400);
    await sql(
      `UPDATE ledger_entry SET entry = replace(entry, '"test"', '"tesT"') WHERE log_id = 'acme' AND index = 333`,
    );
    await expect(inspectLog(ledger, acmeLog)).rejects.toThrow(/entry 333/);
    await expect(recover()).rejects.toThrow(/entry 333/);
    await sql("DELETE FROM ledger_entry WHERE log_id = 'acme' AND index = 222");
    await expect(recover()).rejects.toThrow(/entry 222 of log acme is missing/);
  });

  test("replaces a checkpoint that the entries do not make, and keeps it as evidence", async () => {
    await ledger.grow(400);
    const genuine = (await findLog(ledger.db, acmeLog))?.checkpoint ?? "";
    // Another first character of the root, whichever it was.
    const checkpoint = genuine.replace(/(?<=\n400\n)./, (first) => (first === "+" ? "/" : "+"));
    await ledger.db.prisma.log.update({ where: { id: acmeLog }, data: { checkpoint } });
    const report = await inspectLog(ledger, acmeLog);
    expect(report.published).toMatchObject({ holds: false });
    const { index } = await recover(report.present.root);
    const [entry] = await readEntries(ledger.db, acmeLog, index ?? 0, 401);
    expect(JSON.parse(entry?.entry ?? "").detail.unfounded_checkpoint).toBe(report.published?.note);
    expect(parseCheckpoint(parseNote(genuine)?.text ?? "")?.size).toBe(400);
    expect(await ledger.verify()).toMatchObject({ ok: true, size: 401, recoveries: [400] });
  });

  test("of a log without any checkpoint or memory needs no acceptance", async () => {
    await ledger.memory.setAside(acmeLog, new Date());
    await careless.append(acmeLog, { entry: entryBody(0) });
    expect(await recover()).toMatchObject({ report: { state: "missing" }, checkpoint: { size: 1 } });
    await expect(inspectLog(ledger, "nobody" as typeof acmeLog)).rejects.toMatchObject({ code: "not_found" });
  });
});

test("a crash between remembering and publishing a checkpoint loses nothing", async () => {
  await ledger.grow(10);
  const restore = await ledger.db.prisma.log.findUniqueOrThrow({ where: { id: acmeLog } });
  await ledger.grow(10);
  // The checkpoint of 20 was signed and remembered, but never reached the database.
  const { publishedSize, checkpoint } = restore;
  await ledger.db.prisma.log.update({ where: { id: acmeLog }, data: { publishedSize, checkpoint } });
  expect(await standing()).toBe("extends");
  const fresh = createPublisher({
    ...ledger,
    logSigners: (log) => ledger.keys.get(log) ?? [],
    now: Date.now,
    onFailed: () => undefined,
  });
  expect((await fresh.publishNow(acmeLog)).size).toBe(20);
  await fresh.close();
  expect(await ledger.verify()).toMatchObject({ ok: true, size: 20 });
});
