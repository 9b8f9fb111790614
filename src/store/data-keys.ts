import type { Database } from "./database.ts";

/** A data key as it is kept: only the key-encryption key named by `kekId` opens it. */
export interface WrappedDataKey {
  /** 1 for the first, 2 for the one after it, and so on; the highest is the newest. */
  readonly number: number;
  readonly kekId: string;
  readonly wrapped: Uint8Array;
  readonly createdAt: Date;
}

/** All data keys, oldest first. They belong to the installation, not to an organization. */
export async function listDataKeys(db: Database): Promise<readonly WrappedDataKey[]> {
  const rows = await db.prisma.dataKey.findMany();
  return rows
    .map(({ id, ...row }) => ({ ...row, number: Number(id) }))
    .sort((one, other) => one.number - other.number);
}

/** Keeps a data key. False when its number is taken: another process made that one first, and its key stands. */
export async function insertDataKey(db: Database, key: WrappedDataKey): Promise<boolean> {
  const { number, kekId, wrapped, createdAt } = key;
  const { count } = await db.prisma.dataKey.createMany({
    data: [{ id: String(number), kekId, wrapped: Uint8Array.from(wrapped), createdAt }],
    skipDuplicates: true,
  });
  return count === 1;
}
