import {
  createAgent,
  getAgent,
  listAgents,
  resumeAgent,
  retireAgent,
  revokeAgent,
  suspendAgent,
} from "@countersign/sdk/contract/agents";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount } from "../endpoint.ts";
import { found } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { agentToWire, receiptToWire } from "../wire.ts";

const changes = [
  [suspendAgent, "suspended"],
  [resumeAgent, "active"],
  [retireAgent, "retired"],
] as const;

/** `/v1/agents`: agents and their life cycle. To revoke one is to retire it, and to get the receipt. */
export function mountAgents(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, createAgent, async ({ caller, context, body: { owner, name, kind, jwk } }) => {
    const made = await deps.journeys.createAgent({ caller, context, owner, name, kind, publicJwk: jwk });
    return { ...agentToWire(deps.trustDomain, made), ledger: made.ledger };
  });
  mount(router, deps, listAgents, async ({ caller, query }) => {
    const agents = await deps.records.listAgents(caller.organization, pageAfter(query));
    const items = agents.map((agent) => agentToWire(deps.trustDomain, agent));
    return pageOf(query, items);
  });
  mount(router, deps, getAgent, async ({ caller, params }) =>
    agentToWire(deps.trustDomain, found(await deps.records.findAgent(caller.organization, params.id))),
  );
  for (const [change, status] of changes) {
    mount(router, deps, change, async ({ caller, context, params }) => {
      const agent = await deps.journeys.setAgentStatus({ caller, context, agent: params.id, status });
      return { ...agentToWire(deps.trustDomain, agent), ledger: agent.ledger };
    });
  }
  mount(router, deps, revokeAgent, async ({ caller, context, params }) =>
    receiptToWire(await deps.journeys.revokeAgent({ caller, context, agent: params.id })),
  );
}
