import type { AgentId, OrganizationId } from "@countersign/sdk/model/ids";
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

/**
 * What may have ended a token before its time: whether it was revoked, and when the last of its Agents was suspended,
 * retired or transferred, in milliseconds since the epoch. One statement, since every introspection asks it.
 */
export async function endOfToken(
  db: Database,
  organization: OrganizationId,
  { jti, agents }: { readonly jti: string; readonly agents: readonly AgentId[] },
): Promise<{ readonly revoked: boolean; readonly stoppedAtMs: number | undefined }> {
  const [row] = await db.prisma.$queryRaw<{ revoked: boolean; stoppedAt: Date | null }[]>`
    SELECT EXISTS (SELECT FROM revoked_token WHERE organization_id = ${organization} AND jti = ${jti}) AS revoked,
      (SELECT max(stopped_at) FROM agent WHERE organization_id = ${organization} AND id = ANY (${agents})) AS "stoppedAt"`;
  if (row === undefined) throw new Error("a statement that always has a row had none");
  return { revoked: row.revoked, stoppedAtMs: row.stoppedAt?.getTime() };
}

/** Forgets revocations of tokens that expired so long ago that every host takes them for expired. */
export async function forgetExpiredRevocations(db: Database, now: Date): Promise<void> {
  const expiredBefore = new Date(now.getTime() - purgeDelayMs);
  await db.prisma.revokedToken.deleteMany({ where: { expiresAt: { lt: expiredBefore } } });
}
