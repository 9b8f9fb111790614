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
