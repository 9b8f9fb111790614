import { logOf, type OrganizationId } from "@countersign/sdk/model/ids";
import type { Metrics } from "../http/metrics.ts";
import { openDecisionInput } from "../journeys/decide-scopes.ts";
import { type ApplyPolicyDeps, type ApplyPolicyRequest, applyPolicy } from "../journeys/policy/apply.ts";
import { type PreviewPolicyRequest, previewPolicy } from "../journeys/policy/preview.ts";
import { lastDecisions } from "../ledger/last-decisions.ts";
import { findAppliedPolicy } from "../store/policies.ts";
import type { OpenLedger } from "./open-ledger.ts";
import type { OpenPolicy } from "./open-policy.ts";

/** What becomes of an organization's policy. */
export function policyJourneys(
  { db, sealer }: Pick<OpenLedger, "db" | "sealer">,
  { currentPolicy, loadPolicy, reload }: Pick<OpenPolicy, "currentPolicy" | "loadPolicy" | "reload">,
  timed: Metrics["timed"],
  recording: Omit<ApplyPolicyDeps, "loadPolicy" | "findAppliedPolicy" | "reloadPolicies">,
) {
  const openInput = openDecisionInput.bind(undefined, sealer);
  const deps = {
    ...recording,
    currentPolicy,
    loadPolicy,
    reloadPolicies: reload,
    findAppliedPolicy: (organization: OrganizationId, number: number | "current") =>
      findAppliedPolicy(db, organization, number),
    lastDecisions: (organization: OrganizationId, count: number) =>
      lastDecisions({ db, openInput }, logOf(organization), count),
  };
  return {
    applyPolicy: timed("policy.apply", (request: ApplyPolicyRequest) => applyPolicy(deps, request)),
    previewPolicy: timed("policy.preview", (request: PreviewPolicyRequest) => previewPolicy(deps, request)),
  };
}
