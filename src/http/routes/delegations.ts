import {
  consentToDelegation,
  createDelegation,
  type GrantRequestWire,
  getDelegation,
  getDelegationReach,
  listDelegations,
  type NarrowRequestWire,
  revokeDelegation,
} from "@countersign/sdk/contract/delegations";
import type { Router } from "express";
import type { DelegationTerms } from "../../journeys/delegation/new-delegation.ts";
import type { AdminDeps } from "../admin-deps.ts";
import { demandScope } from "../caller.ts";
import { type EndpointDeps, mount, mountThing } from "../endpoint.ts";
import { found } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { delegationToWire, reachNowToWire, receiptToWire } from "../wire.ts";

/** `/v1/delegations`: root grants asserted by an operator, child grants by the parent's grantee, and revocation. */
export function mountDelegations(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, createDelegation, async ({ body, ...authenticated }) => {
    const { caller, context } = authenticated;
    // Each form has a scope of its own: an agent's token can't assert a User's wish.
    demandScope(authenticated, ["from_user" in body ? "admin" : "delegate"]);
    const terms = termsOf(body);
    const made =
      "from_user" in body
        ? await deps.journeys.grantDelegation({ caller, context, fromUser: body.from_user, terms })
        : await deps.journeys.narrowDelegation({ caller, context, parent: body.parent, terms });
    return { ...delegationToWire(made, deps.now()), ledger: made.ledger };
  });
  mount(router, deps, listDelegations, async ({ caller, query }) => {
    const delegations = await deps.records.listDelegations(caller.organization, {
      ...pageAfter(query),
      party: query.agent,
    });
    const items = delegations.map((chain) => delegationToWire(chain, deps.now()));
    return pageOf(query, items);
  });
  mountThing(router, deps, getDelegation, async ({ caller, scope, params }) => {
    const chain = found(await deps.records.findDelegation(caller.organization, params.id));
    const { grantor, grantee } = chain.leaf.delegation;
    // A delegation that an agent has no part in is to it as if there were none.
    const mayRead = scope.includes("admin") || grantor === caller.id || grantee === caller.id;
    const readable = found(mayRead ? chain : undefined);
    const budget_left = await deps.records.budgetLeft(caller.organization, params.id);
    const answer = { ...delegationToWire(readable, deps.now()), budget_left };
    return { seen: { on: "delegation", ...readable.leaf.delegation }, answer };
  });
  mount(router, deps, consentToDelegation, async ({ params, ...authenticated }) => {
    const { caller, context } = authenticated;
    demandScope(authenticated, [caller.kind === "agent" ? "delegate" : "admin"]);
    const delegation = await deps.journeys.consentToDelegation({ caller, context, delegation: params.id });
    return { ...delegationToWire(delegation, deps.now()), ledger: delegation.ledger };
  });
  mount(router, deps, getDelegationReach, async ({ caller: { organization }, params: { id } }) => {
    found(await deps.records.findDelegation(organization, id));
    return reachNowToWire(await deps.records.reachNow({ organization, kind: "delegation", id }));
  });
  mount(router, deps, revokeDelegation, async ({ params, ...authenticated }) => {
    const { caller, context } = authenticated;
    demandScope(authenticated, [caller.kind === "agent" ? "delegate" : "admin"]);
    return receiptToWire(await deps.journeys.revokeDelegation({ caller, context, delegation: params.id }));
  });
}

function termsOf(body: GrantRequestWire | NarrowRequestWire): DelegationTerms {
  return {
    toAgent: body.to_agent,
    resource: body.resource,
    scope: body.scope,
    ...(body.expires_at !== undefined && { expiresAtMs: Date.parse(body.expires_at) }),
    ...(body.max_depth !== undefined && { maxDepth: body.max_depth }),
    ...(body.authorization_details !== undefined && { authorizationDetails: body.authorization_details }),
    ...(body.budget !== undefined && { budget: body.budget }),
    ...(body.onward !== undefined && { onward: body.onward }),
    ...(body.session !== undefined && { session: body.session }),
    ...(body.exclusive !== undefined && { exclusive: body.exclusive }),
  };
}
