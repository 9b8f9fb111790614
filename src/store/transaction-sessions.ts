import type { Database } from "./database.ts";
import { purgeDelayMs } from "./replay.ts";

/** Forgets the sessions of transactions that ended so long ago that no host lets anything join them. */
export async function forgetOldTransactions(db: Database, now: Date): Promise<void> {
  const endedBefore = new Date(now.getTime() - purgeDelayMs);
  await db.prisma.transactionSession.deleteMany({ where: { expiresAt: { lt: endedBefore } } });
}
