import { type OrganizationId, systemLog } from "@countersign/sdk/model/ids";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { advisoryLocks } from "./advisory-locks.ts";
import type { Database } from "./database.ts";
import { storedAs } from "./stored-as.ts";

/** What was fixed at first start, for good. */
export interface Installation {
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  readonly createdAtMs: number;
}

/** How far a first start has come. */
export interface InstallationProgress {
  readonly systemLogHasEntries: boolean;
  readonly organization: boolean;
  readonly organizationLog: boolean;
  readonly operator: boolean;
}

const workMsMax = 60_000;

/** Does the work while no other process does its own under this lock; any end of this process frees it. */
export async function withInstallationLock<Result>(
  db: Database,
  work: () => Promise<Result>,
): Promise<Result> {
  return db.prisma.$transaction(
    async (tx) => {
      // The lock idles while the work goes on, over other connections.
      await tx.$executeRaw`SET LOCAL idle_in_transaction_session_timeout = 0`;
      await tx.$executeRaw`SELECT pg_advisory_xact_lock(${advisoryLocks.installation})`;
      return work();
    },
    { timeout: workMsMax, maxWait: workMsMax },
  );
}

/** The installation that this database holds, or undefined before its first start. */
export async function findInstallation(db: Database): Promise<Installation | undefined> {
  const row = await db.prisma.installation.findFirst();
  if (row === null) return undefined;
  return { issuer: row.issuer, trustDomain: storedAs(row.trustDomain), createdAtMs: row.createdAt.getTime() };
}

/** Makes the installation and its own log, both or neither, unless they are there. */
export async function createInstallation(
  db: Database,
  { issuer, trustDomain, createdAtMs, origin }: Installation & { readonly origin: string },
): Promise<void> {
  const at = new Date(createdAtMs);
  await db.prisma.$executeRaw`
    WITH made AS (
      INSERT INTO installation (id, issuer, trust_domain, created_at) VALUES (1, ${issuer}, ${trustDomain}, ${at})
      ON CONFLICT DO NOTHING RETURNING id)
    INSERT INTO log (id, origin, created_at) SELECT ${systemLog}, ${origin}, ${at} FROM made`;
}

/** What of the first organization is there. */
export async function findInstallationProgress(
  db: Database,
  organization: OrganizationId,
): Promise<InstallationProgress> {
  const [row] = await db.prisma.$queryRaw<InstallationProgress[]>`
    SELECT EXISTS (SELECT FROM log WHERE id = ${systemLog} AND next_index > 0) AS "systemLogHasEntries",
      EXISTS (SELECT FROM organization WHERE id = ${organization}) AS organization,
      EXISTS (SELECT FROM log WHERE organization_id = ${organization}) AS "organizationLog",
      EXISTS (SELECT FROM operator WHERE organization_id = ${organization}) AS operator`;
  if (row === undefined) throw new Error("a query without FROM always answers");
  return row;
}
