import type { OrganizationId, SubjectMappingId, TrustedIssuerId } from "@countersign/sdk/model/ids";
import type {
  AssertionAlgorithm,
  MappedTo,
  SubjectMapping,
  TrustedIssuer,
  TrustQuery,
} from "../domain/trusted-issuer.ts";
import type { Database } from "./database.ts";
import type { TrustedIssuer as IssuerRow, SubjectMapping as MappingRow } from "./generated/client.ts";
import { type Page, storedAs, storedAsMaybe } from "./stored-as.ts";

/** The TrustedIssuer of this id in this organization, or undefined. */
export async function findTrustedIssuer(
  db: Database,
  organization: OrganizationId,
  id: TrustedIssuerId,
): Promise<TrustedIssuer | undefined> {
  const row = await db.prisma.trustedIssuer.findFirst({ where: { id, organizationId: organization } });
  return row === null ? undefined : issuerOf(row);
}

/** A page of the organization's TrustedIssuers, by id. */
export async function listTrustedIssuers(
  db: Database,
  organization: OrganizationId,
  page: Page,
): Promise<readonly TrustedIssuer[]> {
  const where = { organizationId: organization, id: { gt: page.after ?? "" } };
  const rows = await db.prisma.trustedIssuer.findMany({ where, orderBy: { id: "asc" }, take: page.limit });
  return rows.map(issuerOf);
}

/** The active trust in an issuer for an audience: of one organization, or of all while a token says whose it is by its claims only. */
export async function listTrustsIn(
  db: Database,
  { kind, issuer, audience, organization }: TrustQuery,
): Promise<readonly TrustedIssuer[]> {
  const rows = await db.prisma.trustedIssuer.findMany({
    where: {
      issuer,
      audience,
      kind,
      status: "active",
      ...(organization && { organizationId: organization }),
    },
  });
  return rows.map(issuerOf);
}

/** The SubjectMapping of this id in this organization, or undefined. */
export async function findSubjectMapping(
  db: Database,
  organization: OrganizationId,
  id: SubjectMappingId,
): Promise<SubjectMapping | undefined> {
  const row = await db.prisma.subjectMapping.findFirst({ where: { id, organizationId: organization } });
  return row === null ? undefined : mappingOf(row);
}

/** A page of the mappings of one TrustedIssuer, by id. */
export async function listSubjectMappings(
  db: Database,
  organization: OrganizationId,
  { issuer, after = "", limit }: Page & { readonly issuer: TrustedIssuerId },
): Promise<readonly SubjectMapping[]> {
  const where = { organizationId: organization, trustedIssuerId: issuer, id: { gt: after } };
  const rows = await db.prisma.subjectMapping.findMany({ where, orderBy: { id: "asc" }, take: limit });
  return rows.map(mappingOf);
}

/** The active mappings of one TrustedIssuer that a subject may fall under: its own, but for those of rules that ended, and those of any. */
export async function listMappingsOf(
  db: Database,
  { id, organization }: Pick<TrustedIssuer, "id" | "organization">,
  subject: string,
): Promise<readonly SubjectMapping[]> {
  const rows = await db.prisma.subjectMapping.findMany({
    where: {
      organizationId: organization,
      trustedIssuerId: id,
      status: "active",
      OR: [{ subject }, { subject: null }],
    },
  });
  // Every rule is one of any subject.
  const standing = new Set(rows.map(({ id }) => id));
  return rows
    .filter(({ provisionedBy }) => provisionedBy === null || standing.has(provisionedBy))
    .map(mappingOf);
}

/** How many Agents that are not retired are let in by a rule: those that were made by it, and are mapped still. */
export async function countProvisioned(
  db: Database,
  organization: OrganizationId,
  rule: SubjectMappingId,
): Promise<number> {
  const [row] = await db.prisma.$queryRaw<{ count: number }[]>`
    SELECT count(*)::int AS count FROM subject_mapping m JOIN agent a ON a.id = m.agent_id
    WHERE m.provisioned_by = ${rule} AND m.organization_id = ${organization} AND m.status = 'active'
      AND a.status <> 'retired'`;
  return row?.count ?? 0;
}

function issuerOf(row: IssuerRow): TrustedIssuer {
  const { tenantClaim: name, tenantValue: value } = row;
  return {
    id: storedAs(row.id),
    organization: storedAs(row.organizationId),
    issuer: row.issuer,
    kind: storedAs(row.kind),
    audience: row.audience,
    jwks: row.jwks ?? undefined,
    tenant: name === null || value === null ? undefined : { name, value },
    maxAgeSeconds: row.maxAgeSeconds,
    algorithms: row.algorithms.map(storedAs<AssertionAlgorithm>),
    maxAgents: row.maxAgents,
    checksumClaims: row.checksumClaims,
    status: storedAs(row.status),
    createdAtMs: row.createdAt.getTime(),
  };
}

function mappingOf(row: MappingRow): SubjectMapping {
  return {
    id: storedAs(row.id),
    organization: storedAs(row.organizationId),
    issuer: storedAs(row.trustedIssuerId),
    subject: row.subject ?? undefined,
    claims: row.claims,
    to: mappedTo(row),
    provisionedBy: storedAsMaybe(row.provisionedBy),
    status: storedAs(row.status),
    createdAtMs: row.createdAt.getTime(),
  };
}

function mappedTo({ id, agentId, userId, ownerId, agentKind, namePrefix }: MappingRow): MappedTo {
  if (agentId !== null) return { agent: storedAs(agentId) };
  if (userId !== null) return { user: storedAs(userId) };
  if (ownerId === null || agentKind === null || namePrefix === null)
    throw new Error(`${id} is mapped to nothing`);
  return { owner: storedAs(ownerId), kind: storedAs(agentKind), namePrefix };
}
