import type { AgentId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Reach } from "../../domain/delegation.ts";
import { type RevocationReceipt, receiptOf } from "../revocation-receipt.ts";
import { type SetAgentStatusDeps, type SetAgentStatusRequest, setAgentStatus } from "./set-status.ts";

export interface RevokeAgentDeps extends SetAgentStatusDeps {
  readonly reachOfAgent: (organization: OrganizationId, agent: AgentId) => Promise<Reach>;
}

/**
 * Retires an Agent, and counts what ends with it: nothing can have been added below since.
 *
 * @throws DomainError as setAgentStatus does
 */
export async function revokeAgent(
  deps: RevokeAgentDeps,
  request: Omit<SetAgentStatusRequest, "status">,
): Promise<RevocationReceipt> {
  const { id, organization, ledger } = await setAgentStatus(deps, { ...request, status: "retired" });
  return receiptOf({ kind: "agent", id }, ledger, await deps.reachOfAgent(organization, id), deps.now());
}
