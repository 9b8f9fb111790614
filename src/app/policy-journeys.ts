import { logOf, type OperatorId, type OrganizationId, type ProposalId } from "@countersign/sdk/model/ids";
import type { Metrics } from "../http/metrics.ts";
import { openDecisionInput } from "../journeys/decide-scopes.ts";
import { type ApplyPolicyDeps, type ApplyPolicyRequest, applyPolicy } from "../journeys/policy/apply.ts";
import { type ApprovePolicyRequest, approvePolicy } from "../journeys/policy/approve.ts";
import { type PreviewPolicyRequest, previewPolicy } from "../journeys/policy/preview.ts";
import { proposePolicy } from "../journeys/policy/propose.ts";
import { type WithdrawPolicyRequest, withdrawPolicy } from "../journeys/policy/withdraw.ts";
import type { CreateDeps } from "../journeys/record/record.ts";
import { lastDecisions } from "../ledger/last-decisions.ts";
import { findOperator } from "../store/operators.ts";
import { findAppliedPolicy, findPolicyProposal } from "../store/policies.ts";
import type { OpenLedger } from "./open-ledger.ts";
import type { OpenPolicy } from "./open-policy.ts";

/** What becomes of an organization's policy. */
export function policyJourneys(
  { db, sealer }: Pick<OpenLedger, "db" | "sealer">,
  { currentPolicy, loadPolicy, reload }: Pick<OpenPolicy, "currentPolicy" | "loadPolicy" | "reload">,
  timed: Metrics["timed"],
  recording: Omit<ApplyPolicyDeps & CreateDeps, "loadPolicy" | "findAppliedPolicy" | "reloadPolicies">,
) {
  const openInput = openDecisionInput.bind(undefined, sealer);
  const deps = {
    ...recording,
    currentPolicy,
    loadPolicy,
    reloadPolicies: reload,
    findAppliedPolicy: (organization: OrganizationId, number: number | "current") =>
      findAppliedPolicy(db, organization, number),
    findPolicyProposal: (organization: OrganizationId, id: ProposalId) =>
      findPolicyProposal(db, organization, id),
    findOperator: (organization: OrganizationId, id: OperatorId) => findOperator(db, organization, id),
    lastDecisions: (organization: OrganizationId, count: number) =>
      lastDecisions({ db, openInput }, logOf(organization), count),
  };
  return {
    applyPolicy: timed("policy.apply", (request: ApplyPolicyRequest) => applyPolicy(deps, request)),
    proposePolicy: timed("policy.propose", (request: ApplyPolicyRequest) => proposePolicy(deps, request)),
    approvePolicy: timed("policy.approve", (request: ApprovePolicyRequest) => approvePolicy(deps, request)),
    withdrawPolicy: timed("policy.withdraw", (request: WithdrawPolicyRequest) =>
      withdrawPolicy(deps, request),
    ),
    previewPolicy: timed("policy.preview", (request: PreviewPolicyRequest) => previewPolicy(deps, request)),
  };
}
