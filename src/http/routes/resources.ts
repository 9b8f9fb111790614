import {
  createResourceRequestSchema,
  listQuerySchema,
  resourceCreatedSchema,
  resourcePageSchema,
} from "@countersign/sdk/contract/admin-api";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { found, idParam } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { resourceToWire, toWire } from "../wire.ts";

/** `/v1/resources`: the resource servers that tokens are made for. */
export function mountResources(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, {
    method: "post",
    path: "/v1/resources",
    anyOf: ["admin"],
    status: 201,
    body: createResourceRequestSchema,
    answer: async ({ caller, context, body: { owner, jwk, audience, scope, open } }) => {
      const made = await deps.journeys.createResource({
        caller,
        context,
        audience,
        scope,
        open,
        ...(owner !== undefined && { owner }),
        ...(jwk !== undefined && { publicJwk: jwk }),
      });
      return toWire(resourceCreatedSchema, {
        ...resourceToWire(deps.trustDomain, made),
        ledger: made.ledger,
      });
    },
  });
  mount(router, deps, {
    method: "get",
    path: "/v1/resources",
    anyOf: ["admin"],
    query: listQuerySchema,
    answer: async ({ caller, query }) => {
      const resources = await deps.records.listResources(caller.organization, pageAfter(query));
      const items = resources.map((resource) => resourceToWire(deps.trustDomain, resource));
      return toWire(resourcePageSchema, pageOf(query, items));
    },
  });
  mount(router, deps, {
    method: "get",
    path: "/v1/resources/:id",
    anyOf: ["admin"],
    answer: async ({ caller, params }) => {
      const resource = found(
        await deps.records.findResource(caller.organization, idParam("resource", params)),
      );
      return resourceToWire(deps.trustDomain, resource);
    },
  });
}
