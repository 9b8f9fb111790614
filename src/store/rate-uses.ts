import type { Database } from "./database.ts";

// The longest time that a policy line can count over.
const countedMs = 86_400_000;

/** Forgets what no line counts any more. */
export async function forgetOldRateUses(db: Database, now: Date): Promise<void> {
  await db.prisma.rateUse.deleteMany({ where: { usedAt: { lt: new Date(now.getTime() - countedMs) } } });
}
