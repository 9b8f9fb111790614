import {
  agentChangedSchema,
  agentPageSchema,
  createAgentRequestSchema,
  listQuerySchema,
} from "@countersign/sdk/contract/admin-api";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { found, idParam } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { agentToWire, receiptToWire, toWire } from "../wire.ts";

const changes = { suspend: "suspended", resume: "active", retire: "retired" } as const;

/** `/v1/agents`: agents and their life cycle. To revoke one is to retire it, and to get the receipt. */
export function mountAgents(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, {
    method: "post",
    path: "/v1/agents",
    anyOf: ["admin"],
    status: 201,
    body: createAgentRequestSchema,
    answer: async ({ caller, context, body: { owner, name, kind, jwk } }) => {
      const made = await deps.journeys.createAgent({ caller, context, owner, name, kind, publicJwk: jwk });
      return toWire(agentChangedSchema, { ...agentToWire(deps.trustDomain, made), ledger: made.ledger });
    },
  });
  mount(router, deps, {
    method: "get",
    path: "/v1/agents",
    anyOf: ["admin"],
    query: listQuerySchema,
    answer: async ({ caller, query }) => {
      const agents = await deps.records.listAgents(caller.organization, pageAfter(query));
      const items = agents.map((agent) => agentToWire(deps.trustDomain, agent));
      return toWire(agentPageSchema, pageOf(query, items));
    },
  });
  mount(router, deps, {
    method: "get",
    path: "/v1/agents/:id",
    anyOf: ["admin"],
    answer: async ({ caller, params }) => {
      const agent = found(await deps.records.findAgent(caller.organization, idParam("agent", params)));
      return agentToWire(deps.trustDomain, agent);
    },
  });
  mountLifeCycle(router, deps);
}

function mountLifeCycle(router: Router, deps: EndpointDeps & AdminDeps): void {
  for (const [verb, status] of Object.entries(changes)) {
    mount(router, deps, {
      method: "post",
      path: `/v1/agents/:id/${verb}`,
      anyOf: ["admin"],
      answer: async ({ caller, context, params }) => {
        const id = idParam("agent", params);
        const agent = await deps.journeys.setAgentStatus({ caller, context, agent: id, status });
        return toWire(agentChangedSchema, { ...agentToWire(deps.trustDomain, agent), ledger: agent.ledger });
      },
    });
  }
  mount(router, deps, {
    method: "post",
    path: "/v1/agents/:id/revoke",
    anyOf: ["admin"],
    answer: async ({ caller, context, params }) =>
      receiptToWire(await deps.journeys.revokeAgent({ caller, context, agent: idParam("agent", params) })),
  });
}
