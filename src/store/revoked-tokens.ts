import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Database } from "./database.ts";

/** Whether this very token was revoked. */
export async function isTokenRevoked(
  db: Database,
  organization: OrganizationId,
  jti: string,
): Promise<boolean> {
  return (await db.prisma.revokedToken.findFirst({ where: { jti, organizationId: organization } })) !== null;
}

/** Forgets revocations of tokens that have expired anyway. */
export async function forgetExpiredRevocations(db: Database, now: Date): Promise<void> {
  await db.prisma.revokedToken.deleteMany({ where: { expiresAt: { lt: now } } });
}
