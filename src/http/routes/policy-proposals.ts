import {
  approvePolicy,
  getPolicyProposal,
  listPolicyProposals,
  proposePolicy,
  withdrawPolicy,
} from "@countersign/sdk/contract/policy-proposals";
import type { Router } from "express";
import type { AdminDeps, StandingProposal } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { found } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { policyToWire } from "./policies.ts";

/** `/v1/policy-proposals`: policies that wait for a second operator. */
export function mountPolicyProposals(router: Router, deps: EndpointDeps & AdminDeps): void {
  const { journeys, records } = deps;
  mount(router, deps, proposePolicy, async ({ caller, context, body }) => {
    const { proposal, ledger } = await journeys.proposePolicy({ caller, context, ...body });
    return { ...proposalToWire(proposal), ledger };
  });
  mount(router, deps, listPolicyProposals, async ({ caller, query }) => {
    const proposals = await records.listPolicyProposals(caller.organization, pageAfter(query));
    return pageOf(query, proposals.map(proposalToWire));
  });
  mount(router, deps, getPolicyProposal, async ({ caller, params }) => {
    const proposal = found(await records.findPolicyProposal(caller.organization, params.id));
    return { ...proposalToWire(proposal), source: proposal.source };
  });
  mount(router, deps, approvePolicy, async ({ caller, context, params: { id: proposal }, body }) => {
    const { version, ledger } = await journeys.approvePolicy({ caller, context, proposal, ...body });
    return { ...policyToWire(version), ledger };
  });
  mount(router, deps, withdrawPolicy, async ({ caller, context, params: { id } }) => {
    const { proposal, ledger } = await journeys.withdrawPolicy({ caller, context, proposal: id });
    return { ...proposalToWire(proposal), ledger };
  });
}

function proposalToWire({ id, number, hash, previous, signature, status, ...rest }: StandingProposal) {
  return {
    ...{ id, status, number, hash, previous, signature },
    proposed_at: new Date(rest.proposedAtMs).toISOString(),
    proposed_by: rest.proposedBy,
  };
}
