import type { Database } from "../../src/store/database.ts";

/**
 * How many blocks PostgreSQL read for one call, of all tables and their indexes: the cost of a look whatever it finds,
 * and however busy the machine is. The handle must have one connection only, which is the one that is counted.
 */
export async function blocksRead(db: Database, calls: number, call: () => Promise<unknown>): Promise<number> {
  const before = await blocksSoFar(db);
  for (let each = 0; each < calls; each++) await call();
  return ((await blocksSoFar(db)) - before) / calls;
}

async function blocksSoFar(db: Database): Promise<number> {
  await db.prisma.$queryRaw`SELECT pg_stat_force_next_flush()::text`;
  const [row] = await db.prisma.$queryRaw<{ blocks: number }[]>`
    SELECT sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0))::int AS blocks
    FROM pg_statio_user_tables`;
  if (row === undefined) throw new Error("PostgreSQL counts no blocks");
  return row.blocks;
}
