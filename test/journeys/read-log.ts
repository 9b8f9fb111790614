import { createHash } from "node:crypto";
import type { LedgerEntry } from "@countersign/sdk/contract/ledger-entry";
import type { LogId } from "@countersign/sdk/model/ids";
import { expect } from "vitest";
import type { Database } from "../../src/store/database.ts";

/** Every entry of a log, by index. */
export async function readEntries(db: Database, log: LogId): Promise<LedgerEntry[]> {
  const rows = await db.prisma.ledgerEntry.findMany({ where: { logId: log }, orderBy: { index: "asc" } });
  return rows.map(({ entry }) => JSON.parse(entry));
}

/** Every log has each index once, up to its head, and each leaf hash is that of its entry. */
export async function checkLedger(db: Database): Promise<void> {
  for (const { id, nextIndex } of await db.prisma.log.findMany()) {
    const rows = await db.prisma.ledgerEntry.findMany({ where: { logId: id }, orderBy: { index: "asc" } });
    expect(rows.map(({ index }) => Number(index))).toEqual(
      Array.from({ length: Number(nextIndex) }, (_, i) => i),
    );
    for (const { entry, leafHash } of rows) {
      const expected = createHash("sha256").update("\0").update(entry).digest();
      expect(Buffer.from(leafHash).equals(expected)).toBe(true);
    }
  }
}
