import type { AgentId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { type Agent, type AgentStatus, agentTransitions } from "../../domain/agent.ts";
import { callerConditions } from "../record/conditions.ts";
import {
  demandFound,
  demandOperator,
  type RecordDeps,
  type Recorded,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import { revocationWrite } from "../revocation-receipt.ts";

export interface SetAgentStatusDeps extends RecordDeps {
  readonly now: () => number;
  readonly findAgent: (organization: OrganizationId, id: AgentId) => Promise<Agent | undefined>;
}

export interface SetAgentStatusRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly agent: AgentId;
  /** `active` resumes, `suspended` suspends, `retired` ends it for good. */
  readonly status: AgentStatus;
  readonly context: RequestContext;
}

/**
 * Suspends, resumes or retires an Agent. Every delegation on whose path it stands follows at once, for each commit
 * reads its status again.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `not_found`, `conflict` when nothing leads from
 *   where it is to there, `subject_not_active`, `ledger_unavailable`
 */
export async function setAgentStatus(
  deps: SetAgentStatusDeps,
  { caller, agent: id, status, context }: SetAgentStatusRequest,
): Promise<Recorded<Agent> & { readonly changedAtMs: number }> {
  const { organization } = caller;
  const transition = transitionTo[status];
  const asked: Trail = { ...trailOf(caller, context), action: transition.entryType };
  await demandOperator(deps, "mutation.refused", caller, asked);
  const agent = await demandFound(deps, asked, await deps.findAgent(organization, id), noAgent);
  const trail: Trail = { ...asked, target: { kind: "agent", id }, owner: agent.owner };
  if (!transition.from.some((from) => from === agent.status)) {
    const refusal = plainRefusal("conflict", `the agent is ${agent.status}`);
    throw await refuse(deps, "mutation.refused", trail, id, refusal);
  }
  const changedAtMs = deps.now();
  const revocation = { organization, kind: "agent", id, revokedAtMs: changedAtMs } as const;
  const ledger = await record(deps, {
    type: transition.entryType,
    refusedAs: "mutation.refused",
    trail,
    outcome: { detail: { from: agent.status, to: status } },
    writes: [
      { set: "agent", id, from: transition.from, to: transition.to },
      ...(status === "active" ? [] : [revocationWrite(revocation)]),
    ],
    conditions: callerConditions(caller),
    demands: context.demands,
  });
  deps.invalidate(id);
  return { ...agent, status, ledger, changedAtMs };
}

const transitionTo = {
  active: agentTransitions.resume,
  suspended: agentTransitions.suspend,
  retired: agentTransitions.retire,
} as const satisfies Record<AgentStatus, unknown>;

const noAgent = plainRefusal("not_found", "there is no such agent");
