import type { AgentId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { type Agent, type AgentStatus, agentTransitions } from "../../domain/agent.ts";
import type { Reach } from "../../domain/delegation.ts";
import { callerConditions } from "../conditions.ts";
import { type RecordDeps, type RequestContext, record, refuse, type Trail, trailOf } from "../record.ts";
import { type RevocationReceipt, receiptOf } from "../revocation-receipt.ts";

export interface SetAgentStatusDeps extends RecordDeps {
  readonly now: () => number;
  readonly findAgent: (organization: OrganizationId, id: AgentId) => Promise<Agent | undefined>;
  readonly reachOfAgent: (organization: OrganizationId, agent: AgentId) => Promise<Reach>;
}

export interface SetAgentStatusRequest {
  /** An operator who may administer. */
  readonly caller: Principal;
  readonly agent: AgentId;
  /** `active` resumes, `suspended` suspends, `retired` ends it for good. */
  readonly status: AgentStatus;
  readonly context: RequestContext;
}

/**
 * Suspends, resumes or retires an Agent. Every delegation on whose path it stands follows at once, for each commit
 * reads its status again. The receipt counts them.
 *
 * @throws DomainError `not_found`, `conflict` when nothing leads from where it is to there, `subject_not_active`,
 *   `ledger_unavailable`
 */
export async function setAgentStatus(
  deps: SetAgentStatusDeps,
  { caller, agent: id, status, context }: SetAgentStatusRequest,
): Promise<RevocationReceipt> {
  const transition = transitionTo[status];
  const asked: Trail = { ...trailOf(caller, context), action: transition.entryType };
  const agent = await deps.findAgent(caller.organization, id);
  if (agent === undefined) {
    const publicDetail = "there is no such agent";
    throw await refuse(deps, "mutation.refused", asked, "unknown", {
      code: "not_found",
      publicDetail,
      reason: publicDetail,
    });
  }
  const trail: Trail = { ...asked, agent: id, owner: agent.owner };
  if (!transition.from.some((from) => from === agent.status)) {
    const publicDetail = `the agent is ${agent.status}`;
    throw await refuse(deps, "mutation.refused", trail, id, {
      code: "conflict",
      publicDetail,
      reason: publicDetail,
    });
  }
  const ledger = await record(deps, {
    type: transition.entryType,
    refusedAs: "mutation.refused",
    trail,
    outcome: { detail: { from: agent.status, to: status } },
    writes: [{ set: "agent", id, from: transition.from, to: transition.to }],
    conditions: callerConditions(caller),
  });
  deps.invalidate(id);
  return receiptOf(
    { kind: "agent", id },
    ledger,
    await deps.reachOfAgent(caller.organization, id),
    deps.now(),
  );
}

const transitionTo = {
  active: agentTransitions.resume,
  suspended: agentTransitions.suspend,
  retired: agentTransitions.retire,
} as const satisfies Record<AgentStatus, unknown>;
