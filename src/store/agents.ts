import type { AgentId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Agent, AgentFilter, AgentRecord } from "../domain/agent.ts";
import type { Database } from "./database.ts";
import { Prisma } from "./generated/client.ts";
import { type Page, storedAs } from "./stored-as.ts";

interface AgentRow {
  readonly id: string;
  readonly organization: string;
  readonly owner: string;
  readonly ownerStatus: string;
  readonly tenure: number;
  readonly name: string;
  readonly kind: string;
  readonly status: string;
  readonly expiresAt: Date | null;
  readonly createdAt: Date;
}

/** The Agent of this id in this organization, or undefined. */
export async function findAgent(
  db: Database,
  organization: OrganizationId,
  id: AgentId,
): Promise<Agent | undefined> {
  const [row] = await readAgents(db, Prisma.sql`a.organization_id = ${organization} AND a.id = ${id}`, 1);
  return row && agentOf(row);
}

/** A page of the organization's Agents, by id. */
export async function listAgents(
  db: Database,
  organization: OrganizationId,
  { after = "", limit, ...filter }: Page & AgentFilter,
): Promise<readonly Agent[]> {
  const conditions = [
    Prisma.sql`a.organization_id = ${organization} AND a.id > ${after}`,
    ...(filter.owner === undefined ? [] : [Prisma.sql`a.owner_id = ${filter.owner}`]),
    ...(filter.kind === undefined ? [] : [Prisma.sql`a.kind = ${filter.kind}`]),
    ...(filter.standing === undefined ? [] : [standingSql(filter.standing)]),
  ];
  return (await readAgents(db, Prisma.join(conditions, " AND "), limit)).map(agentOf);
}

/** As standingOf decides of an Agent that was read. */
function standingSql({ is: standing, atMs }: NonNullable<AgentFilter["standing"]>): Prisma.Sql {
  const at = new Date(atMs);
  const holds = Prisma.sql`(o.status = 'active' AND (a.expires_at IS NULL OR a.expires_at > ${at}))`;
  switch (standing) {
    case "active":
      return Prisma.sql`a.status = 'active' AND ${holds}`;
    case "inactive":
      return Prisma.sql`a.status = 'active' AND NOT ${holds}`;
    default:
      return Prisma.sql`a.status = ${standing}`;
  }
}

function readAgents(db: Database, where: Prisma.Sql, limit: number): Promise<AgentRow[]> {
  return db.prisma.$queryRaw<AgentRow[]>`
    SELECT a.id, a.organization_id AS organization, a.owner_id AS owner, o.status AS "ownerStatus", a.tenure, a.name,
      a.kind, a.status, a.expires_at AS "expiresAt", a.created_at AS "createdAt"
    FROM agent a JOIN "user" o ON o.id = a.owner_id AND o.organization_id = a.organization_id
    WHERE ${where} ORDER BY a.id LIMIT ${limit}`;
}

/** What else is known of an Agent; of one that is not there, nothing and zeros. */
export async function readAgentRecord(
  db: Database,
  organization: OrganizationId,
  id: AgentId,
  nowMs: number,
): Promise<AgentRecord> {
  const lasting = { organizationId: organization, status: "active", expiresAt: { gt: new Date(nowMs) } };
  const [keys, agent, held, given] = await Promise.all([
    db.prisma.credential.findMany({
      where: { organizationId: organization, principalId: id, status: "active" },
      orderBy: { id: "asc" },
      select: { thumbprint: true },
    }),
    db.prisma.agent.findFirst({ where: { organizationId: organization, id }, select: { stoppedAt: true } }),
    db.prisma.delegation.count({ where: { ...lasting, granteeAgentId: id } }),
    db.prisma.delegation.count({ where: { ...lasting, grantorAgentId: id } }),
  ]);
  const stoppedAtMs = agent?.stoppedAt?.getTime();
  return { thumbprints: keys.map(({ thumbprint }) => thumbprint), stoppedAtMs, held, given };
}

/** A bounded number of the Agents that expired before a time and are not retired yet, of all organizations. */
export async function listExpiredAgents(db: Database, before: Date): Promise<readonly Agent[]> {
  const where = Prisma.sql`a.expires_at < ${before} AND a.status <> 'retired'`;
  return (await readAgents(db, where, 100)).map(agentOf);
}

function agentOf(row: AgentRow): Agent {
  return {
    id: storedAs(row.id),
    organization: storedAs(row.organization),
    owner: storedAs(row.owner),
    ownerStatus: storedAs(row.ownerStatus),
    tenure: row.tenure,
    name: row.name,
    kind: storedAs(row.kind),
    status: storedAs(row.status),
    expiresAtMs: row.expiresAt?.getTime(),
    createdAtMs: row.createdAt.getTime(),
  };
}
