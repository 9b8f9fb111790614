import { createResource, getResource, listResources } from "@countersign/sdk/contract/resources";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { found } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { resourceToWire } from "../wire.ts";

/** `/v1/resources`: the resource servers that tokens are made for. */
export function mountResources(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, createResource, async ({ caller, context, body }) => {
    const { owner, jwk, audience, scope, open } = body;
    const made = await deps.journeys.createResource({
      caller,
      context,
      audience,
      scope,
      open,
      ...(owner !== undefined && { owner }),
      ...(jwk !== undefined && { publicJwk: jwk }),
    });
    return { ...resourceToWire(deps.trustDomain, made), ledger: made.ledger };
  });
  mount(router, deps, listResources, async ({ caller, query }) => {
    const resources = await deps.records.listResources(caller.organization, pageAfter(query));
    const items = resources.map((resource) => resourceToWire(deps.trustDomain, resource));
    return pageOf(query, items);
  });
  mount(router, deps, getResource, async ({ caller, params }) => {
    const resource = found(await deps.records.findResource(caller.organization, params.id));
    return resourceToWire(deps.trustDomain, resource);
  });
}
