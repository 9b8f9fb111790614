import type { AgentChecksum } from "@countersign/sdk/model/agent-configuration";
import type { AgentId, OrganizationId } from "@countersign/sdk/model/ids";
import type { ChecksumApproval } from "../domain/agent-checksum.ts";
import type { Database } from "./database.ts";
import type { AgentChecksum as Row } from "./generated/client.ts";
import { type Page, storedAs } from "./stored-as.ts";

/** Whether and how a checksum of an Agent of this organization was approved; undefined: it never was. */
export async function findChecksum(
  db: Database,
  organization: OrganizationId,
  { agent, checksum }: Pick<ChecksumApproval, "agent" | "checksum">,
): Promise<ChecksumApproval | undefined> {
  const where = { organizationId: organization, agentId: agent, checksum };
  const row = await db.prisma.agentChecksum.findFirst({ where });
  return row === null ? undefined : approvalOf(row);
}

/** A page of the checksums that an Agent may have or could have, in their order. */
export async function listChecksums(
  db: Database,
  organization: OrganizationId,
  agent: AgentId,
  { after = "", limit }: Page,
): Promise<readonly ChecksumApproval[]> {
  const where = { organizationId: organization, agentId: agent, checksum: { gt: after } };
  const rows = await db.prisma.agentChecksum.findMany({ where, orderBy: { checksum: "asc" }, take: limit });
  return rows.map(approvalOf);
}

function approvalOf({ agentId, checksum, status, approvedAt, withdrawnAt }: Row): ChecksumApproval {
  return {
    agent: storedAs(agentId),
    checksum: storedAs<AgentChecksum>(checksum),
    status: storedAs(status),
    approvedAtMs: approvedAt.getTime(),
    ...(withdrawnAt && { withdrawnAtMs: withdrawnAt.getTime() }),
  };
}
