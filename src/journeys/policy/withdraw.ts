import type { OrganizationId, ProposalId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { PolicyProposal } from "../../domain/policy-version.ts";
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
import { noProposal } from "./approve.ts";

export interface WithdrawPolicyDeps extends RecordDeps {
  readonly findPolicyProposal: (
    organization: OrganizationId,
    id: ProposalId,
  ) => Promise<PolicyProposal | undefined>;
}

export interface WithdrawPolicyRequest {
  /** An operator: whoever proposed it, or another one, who says no to it. */
  readonly caller: Principal;
  readonly proposal: ProposalId;
  readonly context: RequestContext;
}

/**
 * Ends a proposal that nobody approved.
 *
 * @throws DomainError `not_authorized` for who is no operator, `not_found`, `conflict` for one that is approved or withdrawn,
 *   `subject_not_active`, `ledger_unavailable`
 */
export async function withdrawPolicy(
  deps: WithdrawPolicyDeps,
  { caller, proposal: id, context }: WithdrawPolicyRequest,
): Promise<Recorded<{ readonly proposal: PolicyProposal }>> {
  const trail: Trail = { ...trailOf(caller, context), action: "policy.withdraw" };
  const { organization } = await demandOperator(deps, "mutation.refused", caller, trail);
  const proposal = await demandFound(
    deps,
    trail,
    await deps.findPolicyProposal(organization, id),
    noProposal,
  );
  const { status, hash, proposedBy } = proposal;
  if (status !== "open")
    throw await refuse(
      deps,
      "mutation.refused",
      trail,
      id,
      plainRefusal("conflict", `the proposal is ${status}`),
    );
  const ledger = await record(deps, {
    type: "policy.withdrawn",
    refusedAs: "mutation.refused",
    trail,
    outcome: { detail: { proposal: id, policy: hash, proposed_by: proposedBy } },
    writes: [{ set: "policy_proposal", id, from: ["open"], to: "withdrawn" }],
    conditions: callerConditions(caller),
    demands: context.demands,
  });
  return { proposal: { ...proposal, status: "withdrawn" }, ledger };
}
