import { createOperator, getOperator, listOperators } from "@countersign/sdk/contract/operators";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { found } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { operatorToWire } from "../wire.ts";

/** `/v1/operators`: the named principals who run the server. */
export function mountOperators(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, createOperator, async ({ caller, context, body: { name, jwk } }) => {
    const made = await deps.journeys.createOperator({ caller, context, name, publicJwk: jwk });
    return { ...operatorToWire(deps.trustDomain, made), ledger: made.ledger };
  });
  mount(router, deps, listOperators, async ({ caller, query }) => {
    const operators = await deps.records.listOperators(caller.organization, pageAfter(query));
    const items = operators.map((operator) => operatorToWire(deps.trustDomain, operator));
    return pageOf(query, items);
  });
  mount(router, deps, getOperator, async ({ caller, params }) => {
    const operator = found(await deps.records.findOperator(caller.organization, params.id));
    return operatorToWire(deps.trustDomain, operator);
  });
}
