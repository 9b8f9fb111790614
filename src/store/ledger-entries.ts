import type { LogId } from "@countersign/sdk/model/ids";
import type { Database } from "./database.ts";

/** An entry as it was committed. */
export interface StoredEntry {
  readonly index: number;
  /** The exact text that was hashed. */
  readonly entry: string;
  readonly leafHash: Uint8Array;
}

/** Entries [from, to) of a log in order, as many of them as are there. */
export async function readEntries(
  db: Database,
  log: LogId,
  from: number,
  to: number,
): Promise<readonly StoredEntry[]> {
  const rows = await db.prisma.ledgerEntry.findMany({
    where: { logId: log, index: { gte: BigInt(from), lt: BigInt(to) } },
    orderBy: { index: "asc" },
    select: { index: true, entry: true, leafHash: true },
  });
  return rows.map(({ index, entry, leafHash }) => ({ index: Number(index), entry, leafHash }));
}

/**
 * The leaf hashes of entries [from, to), one after the other: 32 bytes each.
 *
 * @returns undefined when one is missing or has another length
 */
export async function readLeafHashes(
  db: Database,
  log: LogId,
  from: number,
  to: number,
): Promise<Uint8Array | undefined> {
  // Indices are unique, so the right number of them within the bounds means that each is there once.
  const [row] = await db.prisma.$queryRaw<{ count: number; hashes: Uint8Array | null }[]>`
    SELECT count(*)::int AS count, string_agg(leaf_hash, ''::bytea ORDER BY index) AS hashes
    FROM ledger_entry WHERE log_id = ${log} AND index >= ${BigInt(from)} AND index < ${BigInt(to)}
      AND octet_length(leaf_hash) = 32`;
  return row?.count === to - from ? (row.hashes ?? new Uint8Array(0)) : undefined;
}
