import { explainDecision } from "@countersign/sdk/contract/explanations";
import { applyPolicy, getPolicy, listPolicies, previewPolicy } from "@countersign/sdk/contract/policies";
import type { Router } from "express";
import type { AppliedPolicy } from "../../domain/policy-version.ts";
import type { Flip } from "../../journeys/policy/preview.ts";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { found } from "../found.ts";
import { pageOf } from "../page.ts";
import { explanationToWire } from "../wire-explanation.ts";

/** `/v1/policies`: the versions of the caller's organization's policy, how another one comes into force, and why one decides as it does. */
export function mountPolicies(router: Router, deps: EndpointDeps & AdminDeps): void {
  const { journeys, records } = deps;
  mount(router, deps, applyPolicy, async ({ caller, context, body }) => {
    const { version, ledger } = await journeys.applyPolicy({ caller, context, ...body });
    return { ...policyToWire(version), ledger };
  });
  mount(router, deps, explainDecision, async ({ caller, body }) =>
    explanationToWire(await journeys.explainDecision({ caller, ...body })),
  );
  mount(router, deps, previewPolicy, async ({ caller, context, body }) => {
    const { inForce, otherRule, flips, ...rest } = await journeys.previewPolicy({ caller, context, ...body });
    return { ...rest, in_force: inForce, other_rule: otherRule, flips: flips.map(flipToWire) };
  });
  mount(router, deps, listPolicies, async ({ caller, query }) => {
    const page = { after: Number(query.cursor ?? 0), limit: query.limit };
    return pageOf(query, (await records.listAppliedPolicies(caller.organization, page)).map(policyToWire));
  });
  mount(router, deps, getPolicy, async ({ caller, params }) => {
    const number = params.number === "current" ? params.number : Number(params.number);
    const version = found(await records.findAppliedPolicy(caller.organization, number));
    return { ...policyToWire(version), source: version.source };
  });
}

function flipToWire({ index, before, after }: Flip) {
  const verdict = ({ obligedBy, ...said }: Flip["before"]) => ({ ...said, obliged_by: obligedBy });
  return { index, before: verdict(before), after: verdict(after) };
}

/** A version as it is told. */
export function policyToWire({ number, hash, appliedAtMs, appliedBy, signature, ...rest }: AppliedPolicy) {
  return {
    id: String(number),
    number,
    hash,
    applied_at: new Date(appliedAtMs).toISOString(),
    applied_by: appliedBy,
    signature,
    two_person: rest.twoPerson,
    approved_by: rest.approval?.by,
    approval: rest.approval?.signature,
  };
}
