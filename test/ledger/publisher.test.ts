import { setTimeout as delay } from "node:timers/promises";
import { type LogId, systemLog } from "@countersign/sdk/model/ids";
import { openCheckpoint } from "@countersign/sdk/tlog/checkpoint";
import { parseVerifierKey } from "@countersign/sdk/tlog/vkey";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { standingOf } from "../../src/ledger/check-log.ts";
import type { CheckpointMemory } from "../../src/ledger/checkpoint-memory.ts";
import { publishLog } from "../../src/ledger/publish.ts";
import { createPublisher } from "../../src/ledger/publisher.ts";
import { readEntries } from "../../src/store/ledger-entries.ts";
import { findLog } from "../../src/store/logs.ts";
import type { NoteKey } from "../tlog/note-key.ts";
import { sigstoreOpensCheckpoint } from "../tlog/sigstore-oracle.ts";
import {
  acmeLog,
  addLogKey,
  entryBody,
  openTestLedger,
  originOf,
  type TestLedger,
} from "./ledger-fixture.ts";

let ledger: TestLedger;
beforeEach(async () => {
  ledger = await openTestLedger();
});
afterEach(() => ledger.close());

const logSigners = (log: LogId) => ledger.keys.get(log) ?? [];
const published = async () => (await findLog(ledger.db, acmeLog))?.publishedSize;
const verifierKeys = (keys: readonly NoteKey[] = []) =>
  keys.map(({ vkey }) => parseVerifierKey(vkey)).filter((key) => key !== undefined);

describe("the publisher", () => {
  test("publishes a checkpoint of everything committed so far, signed by the log's key", async () => {
    await ledger.grow(300);
    const { note, size, root } = await ledger.publisher.publishNow(acmeLog);
    expect(size).toBe(300);
    const keys = ledger.keys.get(acmeLog) ?? [];
    expect(await openCheckpoint(note, { logKeys: verifierKeys(keys) })).toMatchObject({
      ok: true,
      checkpoint: { size: 300 },
    });
    for (const { keyId, publicKey } of keys) {
      const seen = sigstoreOpensCheckpoint(note, { origin: originOf(acmeLog), keyId, publicKey });
      expect(seen).toMatchObject({ logSize: 300n, logHash: Buffer.from(root) });
    }
    expect(await ledger.verify()).toMatchObject({ ok: true, size: 300 });
  });

  test("publishes an empty log, and every size up to several tiles, as one growing tree", async () => {
    expect((await ledger.publisher.publishNow(acmeLog)).size).toBe(0);
    expect(await ledger.verify()).toMatchObject({ ok: true, size: 0 });
    for (const more of [1, 1, 253, 1, 1, 255, 300]) await ledger.grow(more);
    expect(await ledger.verify()).toMatchObject({ ok: true, size: 812 });
  });

  test("does not take a checkpoint that another server remembers meanwhile for a log gone back", async () => {
    await ledger.grow(5);
    let others = 1;
    const memory: CheckpointMemory = {
      ...ledger.memory,
      async recall(log) {
        if (others-- > 0) {
          await ledger.append(acmeLog, { entry: entryBody(5) });
          await publishLog({ ...ledger, logSigners }, new Map(), log);
        }
        return ledger.memory.recall(log);
      },
    };
    await ledger.append(acmeLog, { entry: entryBody(6) });
    const { size } = await publishLog({ ...ledger, memory, logSigners }, new Map(), acmeLog);
    expect(size).toBe(7);
    others = 1;
    expect(await standingOf({ ...ledger, memory }, acmeLog)).toMatchObject({ state: "extends" });
  });

  test("follows the head by itself", async () => {
    const publisher = createPublisher({ ...ledger, logSigners, now: Date.now, onFailed: () => undefined });
    await ledger.append(acmeLog, { entry: entryBody(0) });
    while ((await published()) !== 1) await delay(10);
    await publisher.close();
  });

  test("publishes when told to, without waiting for its round", async () => {
    await ledger.append(acmeLog, { entry: entryBody(0) });
    ledger.publisher.publishSoon(acmeLog);
    while ((await published()) !== 1) await delay(2);
  });

  test("publishes for other processes and with them, and never forks", async () => {
    const others = [1, 2].map(() => ({
      db: ledger.db,
      memory: ledger.memory,
      logSigners,
    }));
    const edges = others.map(() => new Map());
    for (let round = 0; round < 10; round++) {
      await Promise.all([
        ledger.grow(40),
        ...others.map((other, i) => publishLog(other, edges[i] ?? new Map(), acmeLog)),
        ...others.map((other, i) => publishLog(other, edges[i] ?? new Map(), acmeLog)),
      ]);
    }
    expect(await ledger.verify()).toMatchObject({ ok: true, size: 400 });
  });

  test("signs with the old and the new key while both are in use, also a tree that does not grow", async () => {
    await ledger.grow(5);
    const [before] = ledger.keys.get(acmeLog) ?? [];
    const after = await addLogKey(ledger.db, acmeLog, "retired");
    ledger.keys.set(acmeLog, before === undefined ? [] : [after, before]);
    const { note } = await ledger.publisher.publishNow(acmeLog);
    for (const key of [before, after]) {
      const opened = await openCheckpoint(note, { logKeys: verifierKeys(key && [key]) });
      expect(opened).toMatchObject({ ok: true, checkpoint: { size: 5 } });
    }
    expect(await ledger.verify()).toMatchObject({ ok: true, signedBy: [after.vkey, before?.vkey] });
  });

  test("records a log's checkpoints in the installation's log, once a minute and at the end", async () => {
    const recordings = async (count: number) => {
      while ((await findLog(ledger.db, systemLog))?.nextIndex !== count) await delay(10);
    };
    await ledger.grow(1);
    await recordings(1);
    await ledger.grow(1);
    ledger.clock.ms += 59_000;
    await ledger.grow(1);
    ledger.clock.ms += 1_000;
    await ledger.grow(1);
    await recordings(2);
    await ledger.grow(1);
    const recorded = async () => {
      const entries = await readEntries(ledger.db, systemLog, 0, 100);
      return entries
        .map(({ entry }) => JSON.parse(entry))
        .map(({ type, detail }) => [type, detail.log, detail.size]);
    };
    await ledger.publisher.close();
    const expected = [1, 4, 5].map((size) => ["checkpoint.recorded", originOf(acmeLog), size]);
    expect(await recorded()).toEqual(expected);
    expect((await findLog(ledger.db, systemLog))?.publishedSize).toBe(3);
    expect(ledger.failures).toEqual([]);
  });

  test("goes on publishing when the recording fails, and records later", async () => {
    const failures: unknown[] = [];
    const { promise: told, resolve: tell } = Promise.withResolvers<void>();
    let down = true;
    const publisher = createPublisher({
      ...ledger,
      logSigners,
      now: () => ledger.clock.ms,
      append: (log, request) => (down ? Promise.reject(new Error("down")) : ledger.append(log, request)),
      onFailed: (error) => {
        failures.push(error);
        tell();
      },
    });
    await ledger.append(acmeLog, { entry: entryBody(0) });
    expect((await publisher.publishNow(acmeLog)).size).toBe(1);
    await told;
    expect(failures).toHaveLength(1);
    down = false;
    await publisher.close();
    expect((await findLog(ledger.db, systemLog))?.nextIndex).toBe(1);
  });

  test("is closed only once the publication under way has ended and is recorded", async () => {
    await ledger.append(acmeLog, { entry: entryBody(0) });
    const [committed, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let looks = 0;
    const publisher = createPublisher({
      ...ledger,
      logSigners,
      now: () => ledger.clock.ms,
      onFailed: (error) => ledger.failures.push(error),
      memory: {
        ...ledger.memory,
        recall: async (log) => {
          // The second look, at which it finds its own checkpoint: nothing is unpublished any more.
          if (++looks === 2) {
            committed.resolve();
            await released.promise;
          }
          return ledger.memory.recall(log);
        },
      },
    });
    const order: string[] = [];
    const publishing = publisher.publishNow(acmeLog).then(() => order.push("published"));
    await committed.promise;
    const closing = publisher.close().then(() => order.push("closed"));
    await Promise.race([closing, delay(500)]);
    released.resolve();
    await Promise.all([publishing, closing]);
    expect(order).toEqual(["published", "closed"]);
    expect((await findLog(ledger.db, systemLog))?.nextIndex).toBe(1);
  });

  test("refuses to sign over a gap, and names the log", async () => {
    await ledger.grow(5);
    await Promise.all([0, 1, 2].map((i) => ledger.append(acmeLog, { entry: entryBody(i) })));
    await ledger.db.prisma.$executeRaw`DELETE FROM ledger_entry WHERE log_id = 'acme' AND index = 6`;
    await expect(ledger.publisher.publishNow(acmeLog)).rejects.toMatchObject({ code: "internal" });
    expect(await published()).toBe(5);
  });

  test("refuses to sign a tree that does not extend the last one", async () => {
    await ledger.grow(300);
    await ledger.append(acmeLog, { entry: entryBody(0) });
    await ledger.db.prisma.$executeRaw`
      UPDATE ledger_entry SET leaf_hash = decode(repeat('00', 32), 'hex') WHERE log_id = 'acme' AND index = 299`;
    const fresh = createPublisher({
      ...ledger,
      logSigners,
      now: Date.now,
      onFailed: () => undefined,
    });
    await expect(fresh.publishNow(acmeLog)).rejects.toMatchObject({ code: "ledger_behind" });
    await fresh.close();
    expect(await published()).toBe(300);
  });
});
