import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Database } from "./database.ts";
import { purgeDelayMs } from "./replay.ts";

/** Whether this very token was revoked. */
export async function isTokenRevoked(
  db: Database,
  organization: OrganizationId,
  jti: string,
): Promise<boolean> {
  return (await db.prisma.revokedToken.findFirst({ where: { jti, organizationId: organization } })) !== null;
}

/** Forgets revocations of tokens that expired so long ago that every host takes them for expired. */
export async function forgetExpiredRevocations(db: Database, now: Date): Promise<void> {
  const expiredBefore = new Date(now.getTime() - purgeDelayMs);
  await db.prisma.revokedToken.deleteMany({ where: { expiresAt: { lt: expiredBefore } } });
}
