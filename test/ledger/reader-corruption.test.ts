import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createReader } from "../../src/ledger/reader.ts";
import { frontierAt } from "../../src/ledger/tiles.ts";
import { findLog } from "../../src/store/logs.ts";
import { acmeLog, entryBody, openTestLedger, type TestLedger } from "./ledger-fixture.ts";

let ledger: TestLedger;
beforeEach(async () => {
  ledger = await openTestLedger();
  await ledger.grow(600);
});
afterEach(() => ledger.close());

describe("[LED-004] the reader hands out no proof from a database that was changed:", () => {
  test.each([
    [
      "a leaf on the right edge",
      "UPDATE ledger_entry SET leaf_hash = sha256('x') WHERE log_id = 'acme' AND index = 599",
    ],
    [
      "a leaf hash that is too short",
      "UPDATE ledger_entry SET leaf_hash = 'x' WHERE log_id = 'acme' AND index = 599",
    ],
    ["an entry that is gone", "DELETE FROM ledger_entry WHERE log_id = 'acme' AND index = 599"],
    ["a tile", "UPDATE tile SET hashes = set_byte(hashes, 8191, 1 # get_byte(hashes, 8191)) WHERE index = 0"],
    ["a tile's root", "UPDATE tile SET root = sha256('x') WHERE index = 1"],
    ["a tile that is gone", "DELETE FROM tile WHERE index = 0"],
    [
      "the checkpoint's root",
      `UPDATE log SET checkpoint = overlay(checkpoint PLACING
         CASE substr(checkpoint, position(E'\\n600\\n' IN checkpoint) + 5, 1) WHEN '+' THEN '/' ELSE '+' END
         FROM position(E'\\n600\\n' IN checkpoint) + 5) WHERE id = 'acme'`,
    ],
    ["the checkpoint's size", "UPDATE log SET checkpoint = replace(checkpoint, E'\\n600\\n', E'\\n599\\n')"],
    ["the published size", "UPDATE log SET published_size = 599 WHERE id = 'acme'"],
  ])("%s", async (_, sql) => {
    expect(await ledger.db.prisma.$executeRawUnsafe(sql)).toBeGreaterThan(0);
    const reader = createReader({ db: ledger.db });
    await expect(reader.inclusion(acmeLog, 100)).rejects.toMatchObject({ code: "internal" });
  });

  test("though entries may be archived and gone: their tiles prove them all the same", async () => {
    await ledger.db.prisma.$executeRaw`DELETE FROM ledger_entry WHERE log_id = 'acme' AND index < 512`;
    const reader = createReader({ db: ledger.db });
    for (const index of [0, 255, 300, 511, 599])
      expect(await reader.inclusion(acmeLog, index)).toMatchObject({ index });
    expect(await reader.consistency(acmeLog, 77, 600)).toBeDefined();
    await ledger.append(acmeLog, { entry: entryBody(0) });
    expect((await ledger.publisher.publishNow(acmeLog)).size).toBe(601);
    const log = await findLog(ledger.db, acmeLog);
    expect(log && (await frontierAt(ledger.db, log, 300)).size).toBe(300);
  });

  test("and reads its tiles again when the log was recovered by another process", async () => {
    const reader = createReader({ db: ledger.db });
    await reader.inclusion(acmeLog, 580);
    // Another tree with the same number of entries takes the place of the one whose tiles are in the cache.
    await ledger.db.prisma.$transaction([
      ledger.db.prisma.$executeRaw`DELETE FROM ledger_entry WHERE log_id = 'acme' AND index >= 590`,
      ledger.db.prisma
        .$executeRaw`UPDATE log SET next_index = 590, published_size = 0, checkpoint = NULL WHERE id = 'acme'`,
      ledger.db.prisma.$executeRaw`DELETE FROM tile`,
    ]);
    await ledger.memory.setAside(acmeLog, new Date());
    await ledger.db.prisma.$executeRaw`UPDATE log SET next_index = 600 WHERE id = 'acme'`;
    await ledger.db.prisma.$executeRaw`
      INSERT INTO ledger_entry SELECT 'acme', 590 + i, 'other ' || i, sha256(convert_to(E'\x01' || i, 'UTF8'))
      FROM generate_series(0, 9) AS i`;
    await ledger.publisher.publishNow(acmeLog);
    expect(await reader.inclusion(acmeLog, 580)).toMatchObject({ index: 580, size: 600 });
  });
});
