import type {
  AgentId,
  DelegationId,
  OrganizationId,
  ResourceId,
  TokenId,
  UserId,
} from "@countersign/sdk/model/ids";
import type { OnwardTarget } from "@countersign/sdk/model/onward";
import type { Delegation, ListedTarget } from "../domain/delegation.ts";
import { chainOf, type DelegationChain, type Hop } from "../domain/delegation-chain.ts";
import type { Resource } from "../domain/resource.ts";
import type { UserStatus } from "../domain/user.ts";
import type { Database } from "./database.ts";
import { type Delegation as DelegationRow, Prisma } from "./generated/client.ts";
import { type Page, storedAs, storedAsMaybe } from "./stored-as.ts";

interface ChainRow extends DelegationRow {
  readonly leafId: string;
  readonly agentKind: string;
  readonly agentStatus: string;
  readonly agentTenure: number;
  readonly agentExpiresAt: Date | null;
  readonly agentStoppedAt: Date | null;
  readonly ownerId: string;
  readonly ownerStatus: string;
  readonly subjectStatus: string;
  readonly tokenRevoked: boolean;
  readonly resource: ResourceColumns;
}

/** As json_build_object writes it. */
interface ResourceColumns {
  readonly id: string;
  readonly audience: string;
  readonly scope: readonly string[];
  readonly owner: string | null;
  readonly open: boolean;
  readonly status: string;
  readonly createdAtMs: number;
}

/**
 * A Delegation with every ancestor, agent, owner and Resource on its path and its subject, all read in one
 * statement. Undefined when there is no such Delegation in this organization, or its path does not hold together.
 */
export async function findDelegationChain(
  db: Database,
  organization: OrganizationId,
  id: DelegationId,
): Promise<DelegationChain | undefined> {
  return chainOfRows(
    organization,
    await readChains(db, organization, Prisma.sql`(SELECT ${id}::text AS id)`),
  );
}

/** Which redemption of an access token is meant: the token's `jti`, who redeems it, and for what. */
export interface Redemption {
  readonly jti: TokenId;
  readonly grantee: AgentId;
  readonly resource: ResourceId;
}

/** The Delegation that an access token was redeemed for, with all that it rests on; undefined if it was not yet. */
export async function findRedeemedChain(
  db: Database,
  organization: OrganizationId,
  { jti, grantee, resource }: Redemption,
): Promise<DelegationChain | undefined> {
  const row = await db.prisma.delegation.findFirst({
    where: {
      organizationId: organization,
      redeemedJti: jti,
      granteeAgentId: grantee,
      resourceId: resource,
    },
    select: { id: true },
  });
  return row === null ? undefined : findDelegationChain(db, organization, storedAs(row.id));
}

/** Which Delegation is meant that a User gave an Agent for a Resource: the latest that lasts at this time, and does not rest. */
export interface Granted {
  readonly subject: UserId;
  readonly grantee: AgentId;
  readonly resource: ResourceId;
  readonly nowMs: number;
}

/** That Delegation with all that it rests on; undefined if there is none. */
export async function findGrantedChain(
  db: Database,
  organization: OrganizationId,
  { subject, grantee, resource, nowMs }: Granted,
): Promise<DelegationChain | undefined> {
  const [row] = await db.prisma.$queryRaw<{ id: string }[]>`
    SELECT id FROM delegation
    WHERE organization_id = ${organization} AND parent_id IS NULL AND subject_id = ${subject}
      AND grantee_agent_id = ${grantee} AND resource_id = ${resource}
      AND status = 'active' AND expires_at > ${new Date(nowMs)}
      AND grantee_tenure = (SELECT tenure FROM agent WHERE id = ${grantee})
    ORDER BY created_at DESC, id DESC LIMIT 1`;
  return row && findDelegationChain(db, organization, storedAs(row.id));
}

/** Which Delegations of an organization are wanted; what is absent does not matter. */
export interface DelegationFilter {
  /** Those that it gave or was given. */
  readonly party?: AgentId | undefined;
  readonly grantee?: AgentId | undefined;
  readonly resource?: ResourceId | undefined;
  /** Those that are neither revoked nor over themselves at this time; they may rest on one that is. */
  readonly lastingAtMs?: number | undefined;
}

/** A page of the organization's Delegations by id, each with all that it rests on. */
export async function listDelegationChains(
  db: Database,
  organization: OrganizationId,
  { after = "", limit, party, grantee, resource, lastingAtMs }: Page & DelegationFilter,
): Promise<readonly DelegationChain[]> {
  const leaves = await db.prisma.delegation.findMany({
    where: {
      organizationId: organization,
      id: { gt: after },
      ...(party && { OR: [{ granteeAgentId: party }, { grantorAgentId: party }] }),
      ...(grantee && { granteeAgentId: grantee }),
      ...(resource && { resourceId: resource }),
      ...(lastingAtMs !== undefined && { status: "active", expiresAt: { gt: new Date(lastingAtMs) } }),
    },
    orderBy: { id: "asc" },
    take: limit,
    select: { id: true },
  });
  const ids = leaves.map(({ id }) => id);
  const wanted = Prisma.sql`unnest(${ids}::text[])`;
  const rows = Map.groupBy(await readChains(db, organization, wanted), ({ leafId }) => leafId);
  return ids.flatMap((id) => chainOfRows(organization, rows.get(id) ?? []) ?? []);
}

/**
 * The hops of each chain from its root on.
 *
 * OFFSET 0 keeps PostgreSQL from joining whole tables: on a database without
 * statistics it takes an organization for one row, and a statement that is kept would read all of it for each chain. The
 * one id of a single chain is no list of one, which PostgreSQL takes for ten and would plan anew each time.
 */
function readChains(db: Database, organization: OrganizationId, wanted: Prisma.Sql): Promise<ChainRow[]> {
  return db.prisma.$queryRaw<ChainRow[]>`
    SELECT leaf.id AS "leafId",
      h.id, h.organization_id AS "organizationId", h.root_id AS "rootId", h.parent_id AS "parentId", h.path,
      h.subject_id AS "subjectId", h.grantor_agent_id AS "grantorAgentId", h.grantee_agent_id AS "granteeAgentId",
      h.grantee_tenure AS "granteeTenure",
      h.resource_id AS "resourceId", h.scope, h.authorization_details AS "authorizationDetails", h.budget, h.onward,
      h.max_depth AS "maxDepth", h.expires_at AS "expiresAt", h.status, h.asserted_by AS "assertedBy",
      h.created_at AS "createdAt", h.redeemed_jti AS "redeemedJti", h.session, h.exclusive,
      h.redeemed_jti IS NOT NULL AND EXISTS (SELECT FROM revoked_token t
        WHERE t.jti = h.redeemed_jti AND t.organization_id = h.organization_id) AS "tokenRevoked",
      a.kind AS "agentKind", a.status AS "agentStatus", a.tenure AS "agentTenure", a.expires_at AS "agentExpiresAt",
      a.stopped_at AS "agentStoppedAt", o.id AS "ownerId", o.status AS "ownerStatus", s.status AS "subjectStatus",
      json_build_object('id', r.id, 'audience', r.audience, 'scope', r.scope, 'owner', r.owner_id, 'open', r.open,
        'status', r.status, 'createdAtMs', (extract(epoch FROM r.created_at) * 1000)::bigint) AS resource
    FROM ${wanted} AS wanted(id)
    CROSS JOIN LATERAL (SELECT organization_id, id, path, subject_id FROM delegation
      WHERE id = wanted.id AND organization_id = ${organization} OFFSET 0) leaf
    CROSS JOIN unnest(leaf.path) AS hop(id)
    CROSS JOIN LATERAL (SELECT * FROM delegation
      WHERE id = hop.id AND organization_id = leaf.organization_id OFFSET 0) h
    CROSS JOIN LATERAL (SELECT kind, status, tenure, expires_at, stopped_at, owner_id FROM agent
      WHERE id = h.grantee_agent_id AND organization_id = leaf.organization_id OFFSET 0) a
    CROSS JOIN LATERAL (SELECT id, status FROM "user"
      WHERE id = a.owner_id AND organization_id = leaf.organization_id OFFSET 0) o
    CROSS JOIN LATERAL (SELECT status FROM "user"
      WHERE id = leaf.subject_id AND organization_id = leaf.organization_id OFFSET 0) s
    CROSS JOIN LATERAL (SELECT * FROM resource
      WHERE id = h.resource_id AND organization_id = leaf.organization_id OFFSET 0) r
    ORDER BY cardinality(h.path)`;
}

function chainOfRows(organization: OrganizationId, rows: readonly ChainRow[]): DelegationChain | undefined {
  const leaf = rows.at(-1);
  if (leaf === undefined) return undefined;
  const subject = { id: delegationOf(leaf).subject, status: storedAs<UserStatus>(leaf.subjectStatus) };
  return chainOf(
    rows.map((row) => hopOf(organization, row)),
    subject,
  );
}

function hopOf(organization: OrganizationId, row: ChainRow): Hop {
  const delegation = delegationOf(row);
  return {
    delegation,
    tokenRevoked: row.tokenRevoked,
    resource: resourceOfColumns(organization, row.resource),
    agent: {
      id: delegation.grantee,
      kind: storedAs(row.agentKind),
      status: storedAs(row.agentStatus),
      tenure: row.agentTenure,
      expiresAtMs: row.agentExpiresAt?.getTime(),
      stoppedAtMs: row.agentStoppedAt?.getTime(),
    },
    owner: { id: storedAs(row.ownerId), status: storedAs(row.ownerStatus) },
  };
}

function resourceOfColumns(organization: OrganizationId, columns: ResourceColumns): Resource {
  return {
    ...columns,
    id: storedAs(columns.id),
    organization,
    audience: storedAs(columns.audience),
    owner: storedAsMaybe(columns.owner),
    status: storedAs(columns.status),
  };
}

/** What was listed before Agents had tenures was listed in their first. */
function onwardOf(text: string): readonly ListedTarget[] {
  const targets: readonly (OnwardTarget & { readonly tenure?: number })[] = JSON.parse(text);
  return targets.map((target) => ({ ...target, tenure: target.tenure ?? 1 }));
}

function delegationOf(row: DelegationRow): Delegation {
  return {
    id: storedAs(row.id),
    organization: storedAs(row.organizationId),
    root: storedAs(row.rootId),
    parent: storedAsMaybe(row.parentId),
    path: row.path.map((id) => storedAs<DelegationId>(id)),
    subject: storedAs(row.subjectId),
    grantor: storedAsMaybe(row.grantorAgentId),
    grantee: storedAs(row.granteeAgentId),
    granteeTenure: row.granteeTenure,
    resource: storedAs(row.resourceId),
    scope: row.scope,
    authorizationDetails: JSON.parse(row.authorizationDetails),
    budget: JSON.parse(row.budget),
    onward: onwardOf(row.onward),
    maxDepth: row.maxDepth,
    expiresAtMs: row.expiresAt.getTime(),
    status: storedAs(row.status),
    assertedBy: storedAsMaybe(row.assertedBy),
    redeemed: storedAsMaybe(row.redeemedJti),
    session: row.session ?? undefined,
    ...(row.exclusive && { exclusive: true }),
    createdAtMs: row.createdAt.getTime(),
  };
}

/** Child delegations that expired before a time with something of a budget left, the ones nearest to the root first. */
export async function listExpiredBudgets(
  db: Database,
  before: Date,
): Promise<readonly { readonly organization: OrganizationId; readonly delegation: DelegationId }[]> {
  return db.prisma.$queryRaw`
    SELECT DISTINCT d.organization_id AS organization, d.id AS delegation, cardinality(d.path) AS depth
    FROM budget b JOIN delegation d ON d.id = b.delegation_id
    WHERE b.spent < b.allowance AND d.parent_id IS NOT NULL AND d.expires_at < ${before}
    ORDER BY depth, d.id LIMIT 100`;
}
