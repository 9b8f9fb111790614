import {
  createOperatorRequestSchema,
  listQuerySchema,
  operatorCreatedSchema,
  operatorPageSchema,
} from "@countersign/sdk/contract/admin-api";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { found, idParam } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { operatorToWire, toWire } from "../wire.ts";

/** `/v1/operators`: the named principals who run the server. */
export function mountOperators(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, {
    method: "post",
    path: "/v1/operators",
    anyOf: ["admin"],
    status: 201,
    body: createOperatorRequestSchema,
    answer: async ({ caller, context, body: { name, jwk } }) => {
      const made = await deps.journeys.createOperator({ caller, context, name, publicJwk: jwk });
      return toWire(operatorCreatedSchema, {
        ...operatorToWire(deps.trustDomain, made),
        ledger: made.ledger,
      });
    },
  });
  mount(router, deps, {
    method: "get",
    path: "/v1/operators",
    anyOf: ["admin"],
    query: listQuerySchema,
    answer: async ({ caller, query }) => {
      const operators = await deps.records.listOperators(caller.organization, pageAfter(query));
      const items = operators.map((operator) => operatorToWire(deps.trustDomain, operator));
      return toWire(operatorPageSchema, pageOf(query, items));
    },
  });
  mount(router, deps, {
    method: "get",
    path: "/v1/operators/:id",
    anyOf: ["admin"],
    answer: async ({ caller, params }) => {
      const operator = found(
        await deps.records.findOperator(caller.organization, idParam("operator", params)),
      );
      return operatorToWire(deps.trustDomain, operator);
    },
  });
}
