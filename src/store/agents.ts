import type { AgentId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Agent } from "../domain/agent.ts";
import type { Database } from "./database.ts";
import type { Agent as AgentRow } from "./generated/client.ts";
import { type Page, storedAs } from "./stored-as.ts";

/** The Agent of this id in this organization, or undefined. */
export async function findAgent(
  db: Database,
  organization: OrganizationId,
  id: AgentId,
): Promise<Agent | undefined> {
  const row = await db.prisma.agent.findFirst({ where: { id, organizationId: organization } });
  return row === null ? undefined : agentOf(row);
}

/** A page of the organization's Agents, by id. */
export async function listAgents(
  db: Database,
  organization: OrganizationId,
  page: Page,
): Promise<readonly Agent[]> {
  const where = { organizationId: organization, id: { gt: page.after ?? "" } };
  const rows = await db.prisma.agent.findMany({ where, orderBy: { id: "asc" }, take: page.limit });
  return rows.map(agentOf);
}

/** When the last of these Agents was suspended or retired, in milliseconds since the epoch; undefined: none ever was. */
export async function lastStopOf(
  db: Database,
  organization: OrganizationId,
  ids: readonly AgentId[],
): Promise<number | undefined> {
  const { _max } = await db.prisma.agent.aggregate({
    where: { organizationId: organization, id: { in: [...ids] } },
    _max: { stoppedAt: true },
  });
  return _max.stoppedAt?.getTime();
}

function agentOf(row: AgentRow): Agent {
  return {
    id: storedAs(row.id),
    organization: storedAs(row.organizationId),
    owner: storedAs(row.ownerId),
    name: row.name,
    kind: storedAs(row.kind),
    status: storedAs(row.status),
    createdAtMs: row.createdAt.getTime(),
  };
}
