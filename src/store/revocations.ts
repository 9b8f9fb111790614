import { logOf, type OrganizationId } from "@countersign/sdk/model/ids";
import type { Revocation } from "../domain/revocation.ts";
import type { Database } from "./database.ts";
import type { Revocation as RevocationRow } from "./generated/client.ts";
import { storedAs } from "./stored-as.ts";

/** The revocation whose entry stands at this index of the organization's log, or undefined. */
export async function findRevocation(
  db: Database,
  organization: OrganizationId,
  index: number,
): Promise<Revocation | undefined> {
  const row = await db.prisma.revocation.findUnique({
    where: { logId_index: { logId: logOf(organization), index: BigInt(index) } },
  });
  return row === null ? undefined : revocationOf(row);
}

/** At most `limit` revocations whose index is above `after`, in order. */
export interface RevocationPage {
  /** -1 for all from the first on. */
  readonly after: number;
  readonly limit: number;
}

/** A page of the organization's revocations, as far as its published checkpoint covers them. */
export async function listRevocations(
  db: Database,
  organization: OrganizationId,
  { after, limit }: RevocationPage,
): Promise<readonly Revocation[]> {
  const logId = logOf(organization);
  const log = await db.prisma.log.findUnique({ where: { id: logId }, select: { publishedSize: true } });
  const rows = await db.prisma.revocation.findMany({
    where: { logId, index: { gt: BigInt(after), lt: log?.publishedSize ?? 0n } },
    orderBy: { index: "asc" },
    take: limit,
  });
  return rows.map(revocationOf);
}

function revocationOf({ organizationId, kind, nodeId, index, revokedAt }: RevocationRow): Revocation {
  return {
    organization: storedAs(organizationId),
    kind: storedAs(kind),
    id: nodeId,
    index: Number(index),
    revokedAtMs: revokedAt.getTime(),
  };
}
