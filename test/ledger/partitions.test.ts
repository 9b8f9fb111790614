import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findTileOctets } from "../../src/ledger/tiles.ts";
import { ensurePartitions, partitionEntries } from "../../src/store/ledger-partitions.ts";
import { acmeLog, openTestLedger, type TestLedger } from "./ledger-fixture.ts";

let ledger: TestLedger;
beforeEach(async () => {
  ledger = await openTestLedger();
});
afterEach(() => ledger.close());

const setHead = async (entries: number) => {
  const head = BigInt(Math.ceil(entries));
  const data = { nextIndex: head, publishedSize: head, checkpoint: "x" };
  await ledger.db.prisma.log.update({ where: { id: acmeLog }, data });
};
const partitions = async () => {
  const rows = await ledger.db.prisma.$queryRaw<{ name: string }[]>`
    SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'ledger_entry'::regclass ORDER BY name`;
  return rows.map(({ name }) => name);
};
const insert = (index: number) =>
  ledger.db.prisma
    .$executeRaw`INSERT INTO ledger_entry VALUES ('acme', ${BigInt(index)}, 'entry', sha256('x'))`;

describe("partitions of the ledger", () => {
  test("are made before they are needed: from half of the last one on", async () => {
    await setHead(partitionEntries / 2 - 1);
    await ensurePartitions(ledger.db);
    expect(await partitions()).toEqual(["ledger_entry_0"]);
    await expect(insert(partitionEntries)).rejects.toThrow();
    await setHead(partitionEntries / 2);
    await ensurePartitions(ledger.db);
    expect(await partitions()).toEqual(["ledger_entry_0", "ledger_entry_1"]);
    await insert(partitionEntries - 1);
    await insert(partitionEntries);
    // The new partition is a part of the ledger like the first: one index each, whichever it is in.
    await expect(insert(partitionEntries)).rejects.toThrow();
    expect(
      await findTileOctets(ledger.db, acmeLog, { level: 0, index: partitionEntries / 256, width: 1 }),
    ).toHaveLength(32);
  });

  test("are made once when several processes need them at once, and as many as are needed", async () => {
    await setHead(2.6 * partitionEntries);
    await Promise.all(Array.from({ length: 5 }, () => ensurePartitions(ledger.db)));
    expect(await partitions()).toEqual([
      "ledger_entry_0",
      "ledger_entry_1",
      "ledger_entry_2",
      "ledger_entry_3",
    ]);
  });

  test("may be detached and archived without being made again", async () => {
    await setHead(partitionEntries);
    await ensurePartitions(ledger.db);
    await ledger.db.prisma.$executeRaw`ALTER TABLE ledger_entry DETACH PARTITION ledger_entry_0`;
    await setHead(1.6 * partitionEntries);
    await ensurePartitions(ledger.db);
    expect(await partitions()).toEqual(["ledger_entry_1", "ledger_entry_2"]);
  });
});
