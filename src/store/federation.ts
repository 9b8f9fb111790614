import type { FederationId } from "@countersign/sdk/model/ids";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { FederatedTrustDomain } from "../domain/federation.ts";
import type { Database } from "./database.ts";
import { Prisma } from "./generated/client.ts";
import { type Page, storedAs, storedAsMaybe } from "./stored-as.ts";

interface Row {
  readonly id: string;
  readonly trust_domain: string;
  readonly endpoint_url: string;
  readonly profile: "https_web" | "https_spiffe";
  readonly endpoint_spiffe_id: string | null;
  readonly ca: string | null;
  readonly private_allowed: boolean;
  readonly trusted_for_seconds: number;
  readonly status: "active" | "deleted";
  readonly created_at: Date;
  readonly fetched_at: Date | null;
  readonly failed_at: Date | null;
  readonly failure: string | null;
  readonly failures: number;
  readonly due_at: Date;
  readonly revision: number | null;
  readonly bundle: string | null;
  readonly sequence: bigint | null;
}

const withBundle = Prisma.sql`
  SELECT f.*, b.revision, b.bundle, b.sequence FROM federated_trust_domain f
  LEFT JOIN LATERAL (
    SELECT revision, bundle, sequence FROM federated_bundle WHERE federation_id = f.id ORDER BY revision DESC LIMIT 1
  ) b ON true`;

/** A page of the foreign trust domains that are federated with, by id. They belong to the installation. */
export async function listFederations(
  db: Database,
  { after, limit }: Page,
): Promise<readonly FederatedTrustDomain[]> {
  const rows = await db.prisma.$queryRaw<Row[]>`
    ${withBundle} WHERE f.status = 'active' AND f.id > ${after ?? ""} ORDER BY f.id LIMIT ${limit}`;
  return rows.map(federationOf);
}

/** The one of this trust domain that is federated with, or undefined. */
export async function findFederation(
  db: Database,
  trustDomain: TrustDomain,
): Promise<FederatedTrustDomain | undefined> {
  const [row] = await db.prisma.$queryRaw<Row[]>`
    ${withBundle} WHERE f.status = 'active' AND f.trust_domain = ${trustDomain}`;
  return row && federationOf(row);
}

const claimedMax = 16;

/**
 * Those that are to be fetched now, for this process to do: nobody else is given them before `until`.
 */
export async function claimDueFederations(
  db: Database,
  { now, until }: { readonly now: Date; readonly until: Date },
): Promise<readonly FederatedTrustDomain[]> {
  const claimed = await db.prisma.$queryRaw<{ readonly id: string }[]>`
    UPDATE federated_trust_domain SET due_at = ${until} WHERE id IN (
      SELECT id FROM federated_trust_domain WHERE status = 'active' AND due_at <= ${now}
      ORDER BY due_at LIMIT ${claimedMax} FOR UPDATE SKIP LOCKED) RETURNING id`;
  if (claimed.length === 0) return [];
  const ids = claimed.map(({ id }) => id);
  const rows = await db.prisma.$queryRaw<Row[]>`${withBundle} WHERE f.id = ANY (${ids})`;
  return rows.map(federationOf);
}

/** Notes that a bundle was fetched and verified, whether or not it was new. */
export async function noteFetched(
  db: Database,
  { id, at, due }: { readonly id: FederationId; readonly at: Date; readonly due: Date },
): Promise<void> {
  await db.prisma.$executeRaw`
    UPDATE federated_trust_domain
    SET fetched_at = ${at}, failed_at = NULL, failure = NULL, failures = 0, due_at = ${due} WHERE id = ${id}`;
}

/** Notes that a bundle could not be fetched, or was refused. */
export async function noteFailed(
  db: Database,
  failed: { readonly id: FederationId; readonly at: Date; readonly due: Date; readonly reason: string },
): Promise<void> {
  const { id, at, due, reason } = failed;
  await db.prisma.$executeRaw`
    UPDATE federated_trust_domain
    SET failed_at = ${at}, failure = ${reason}, failures = failures + 1, due_at = ${due} WHERE id = ${id}`;
}

function federationOf(row: Row): FederatedTrustDomain {
  const { revision, bundle, sequence, failed_at: failedAt, failure } = row;
  return {
    id: storedAs(row.id),
    trustDomain: storedAs(row.trust_domain),
    endpointUrl: row.endpoint_url,
    profile: row.profile,
    endpointSpiffeId: storedAsMaybe(row.endpoint_spiffe_id),
    ca: row.ca ?? undefined,
    privateAllowed: row.private_allowed,
    trustedForSeconds: row.trusted_for_seconds,
    status: row.status,
    createdAtMs: row.created_at.getTime(),
    bundle:
      revision === null || bundle === null
        ? undefined
        : { revision, text: bundle, sequence: sequence === null ? undefined : Number(sequence) },
    fetchedAtMs: row.fetched_at?.getTime(),
    failed: failedAt === null ? undefined : { atMs: failedAt.getTime(), reason: failure ?? "" },
    failures: row.failures,
    dueAtMs: row.due_at.getTime(),
  };
}
