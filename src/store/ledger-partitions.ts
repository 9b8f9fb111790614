import { advisoryLocks } from "./advisory-locks.ts";
import type { Database } from "./database.ts";

/** Entries of each log that one partition holds. */
export const partitionEntries = 4_194_304;

/**
 * Creates partitions of the ledger until the longest log has half a partition or more before it. Safe to call from
 * several processes at once, and while entries are being written: a partition is made apart and then attached, which
 * locks nobody out.
 */
export async function ensurePartitions(db: Database): Promise<void> {
  const longest = await db.prisma.log.aggregate({ _max: { nextIndex: true } });
  const needed = Math.floor(Number(longest._max.nextIndex ?? 0n) / partitionEntries + 0.5);
  if ((await lastPartition(db.prisma)) >= needed) return;
  await db.prisma.$transaction(async (tx) => {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(${advisoryLocks.partitions})`;
    for (let next = (await lastPartition(tx)) + 1; next <= needed; next++) {
      const name = `ledger_entry_${next}`;
      const bounds = `FROM (${next * partitionEntries}) TO (${(next + 1) * partitionEntries})`;
      await tx.$executeRawUnsafe(`CREATE TABLE ${name} (LIKE ledger_entry INCLUDING ALL)`);
      await tx.$executeRawUnsafe(`ALTER TABLE ledger_entry ATTACH PARTITION ${name} FOR VALUES ${bounds}`);
    }
  });
}

/** Number of the last partition; lower ones may have been detached and archived. */
async function lastPartition(prisma: Pick<Database["prisma"], "$queryRaw">): Promise<number> {
  const [row] = await prisma.$queryRaw<{ last: number }[]>`
    SELECT max(substring(c.relname FROM '^ledger_entry_([0-9]+)$')::int) AS last
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'ledger_entry'::regclass`;
  if (row === undefined) throw new Error("the ledger has no partition");
  return row.last;
}
