import {
  delegateRequestSchema,
  delegationCreatedSchema,
  delegationPageSchema,
  type GrantRequestWire,
  listQuerySchema,
  type NarrowRequestWire,
} from "@countersign/sdk/contract/admin-api";
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
  mountMaking(router, deps);
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
    anyOf: ["admin", "delegate"],
    answer: async ({ caller, scope, params }) => {
      const id = idParam("delegation", params);
      const chain = found(await deps.records.findDelegation(caller.organization, id));
      const { grantor, grantee } = chain.leaf.delegation;
      // A delegation that an agent has no part in is to it as if there were none.
      const mayRead = scope.includes("admin") || grantor === caller.id || grantee === caller.id;
      return delegationToWire(found(mayRead ? chain : undefined), deps.now());
    },
  });
  mount(router, deps, {
    method: "post",
    path: "/v1/delegations/:id/revoke",
    anyOf: ["admin", "delegate"],
    answer: async ({ params, ...authenticated }) => {
      const { caller, context } = authenticated;
      demandScope(authenticated, [caller.kind === "agent" ? "delegate" : "admin"]);
      const delegation = idParam("delegation", params);
      return receiptToWire(await deps.journeys.revokeDelegation({ caller, context, delegation }));
    },
  });
}

function mountMaking(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, {
    method: "post",
    path: "/v1/delegations",
    anyOf: ["admin", "delegate"],
    status: 201,
    body: delegateRequestSchema,
    answer: async ({ body, ...authenticated }) => {
      const { caller, context } = authenticated;
      // Each form has a scope of its own: an agent's token can't assert a User's wish.
      demandScope(authenticated, ["from_user" in body ? "admin" : "delegate"]);
      const terms = termsOf(body);
      const made =
        "from_user" in body
          ? await deps.journeys.grantDelegation({ caller, context, fromUser: body.from_user, terms })
          : await deps.journeys.narrowDelegation({ caller, context, parent: body.parent, terms });
      return toWire(delegationCreatedSchema, {
        ...delegationToWire(made, deps.now()),
        ledger: made.ledger,
      });
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
    ...(body.authorization_details !== undefined && { authorizationDetails: body.authorization_details }),
    ...(body.budget !== undefined && { budget: body.budget }),
    ...(body.onward !== undefined && { onward: body.onward }),
  };
}
