import type { Database } from "./database.ts";
import { purgeDelayMs } from "./replay.ts";

/** Forgets the sessions and the subjects of transactions that ended so long ago that no host lets anything join them. */
export async function forgetOldTransactions(db: Database, now: Date): Promise<void> {
  const endedBefore = new Date(now.getTime() - purgeDelayMs);
  const where = { expiresAt: { lt: endedBefore } };
  await db.prisma.transactionSession.deleteMany({ where });
  await db.prisma.transactionSubject.deleteMany({ where });
}
