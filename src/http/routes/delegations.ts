import {
  delegateRequestSchema,
  delegationCreatedSchema,
  delegationPageSchema,
  type GrantRequestWire,
  listQuerySchema,
  type NarrowRequestWire,
} from "@countersign/sdk/contract/admin-api";
import type { DelegationId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Router } from "express";
import type { DelegationTerms } from "../../journeys/delegation/new-delegation.ts";
import type { AdminDeps } from "../admin-deps.ts";
import { demandScope } from "../caller.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { found, idParam } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { delegationToWire, receiptToWire, toWire } from "../wire.ts";

/** `/v1/delegations`: root grants asserted by an operator, child grants by the parent's grantee, and revocation. */
export function mountDelegations(router: Router, deps: EndpointDeps & AdminDeps): void {
  const read = async (organization: OrganizationId, id: DelegationId) =>
    delegationToWire(found(await deps.records.findDelegation(organization, id)), deps.now());

  mount(router, deps, {
    method: "post",
    path: "/v1/delegations",
    anyOf: ["admin", "delegate"],
    status: 201,
    body: delegateRequestSchema,
    answer: async ({ caller, scope, context, body }) => {
      // Each form has a scope of its own: an agent's token can't assert a User's wish.
      demandScope(scope, ["from_user" in body ? "admin" : "delegate"]);
      const terms = termsOf(body);
      const made =
        "from_user" in body
          ? await deps.journeys.grantDelegation({ caller, context, fromUser: body.from_user, terms })
          : await deps.journeys.narrowDelegation({ caller, context, parent: body.parent, terms });
      const delegation = await read(caller.organization, made.id);
      return toWire(delegationCreatedSchema, { ...delegation, ledger: made.ledger });
    },
  });
  mount(router, deps, {
    method: "get",
    path: "/v1/delegations",
    anyOf: ["admin"],
    query: listQuerySchema,
    answer: async ({ caller, query }) => {
      const delegations = await deps.records.listDelegations(caller.organization, pageAfter(query));
      const items = delegations.map((chain) => delegationToWire(chain, deps.now()));
      return toWire(delegationPageSchema, pageOf(query, items));
    },
  });
  mount(router, deps, {
    method: "get",
    path: "/v1/delegations/:id",
    anyOf: ["admin"],
    answer: ({ caller, params }) => read(caller.organization, idParam("delegation", params)),
  });
  mount(router, deps, {
    method: "post",
    path: "/v1/delegations/:id/revoke",
    anyOf: ["admin"],
    answer: async ({ caller, context, params }) => {
      const id = idParam("delegation", params);
      const recorded = await deps.journeys.revokeDelegation({ caller, context, delegation: id });
      return receiptToWire({ kind: "delegation", id }, recorded);
    },
  });
}

function termsOf(body: GrantRequestWire | NarrowRequestWire): DelegationTerms {
  return {
    toAgent: body.to_agent,
    resource: body.resource,
    scope: body.scope,
    ...(body.expires_at !== undefined && { expiresAtMs: Date.parse(body.expires_at) }),
    ...(body.max_depth !== undefined && { maxDepth: body.max_depth }),
    ...(body.budget !== undefined && { budget: body.budget }),
    ...(body.onward !== undefined && { onward: body.onward }),
  };
}
