import { getAgentAccess } from "@countersign/sdk/contract/agent-access";
import { getAgentHistory } from "@countersign/sdk/contract/agent-history";
import {
  createAgent,
  getAgent,
  getAgentReach,
  listAgents,
  resumeAgent,
  retireAgent,
  revokeAgent,
  suspendAgent,
  transferAgent,
} from "@countersign/sdk/contract/agents";
import { logOf } from "@countersign/sdk/model/ids";
import type { Router } from "express";
import type { Agent } from "../../domain/agent.ts";
import type { Recorded } from "../../journeys/record/record.ts";
import type { RevocationReceipt } from "../../journeys/revocation-receipt.ts";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount, mountThing } from "../endpoint.ts";
import { found } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { accessToWire, agentRecordToWire, agentToWire, reachNowToWire, receiptToWire } from "../wire.ts";

const stops = [
  [suspendAgent, "suspended"],
  [retireAgent, "retired"],
] as const;

/** `/v1/agents`: agents and their life cycle. To revoke one is to retire it, and to get the receipt. */
export function mountAgents(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(
    router,
    deps,
    createAgent,
    async ({ caller, context, body: { owner, name, kind, expires_at, jwk } }) => {
      const made = await deps.journeys.createAgent({
        caller,
        context,
        owner,
        name,
        kind,
        ...(jwk && { publicJwk: jwk }),
        ...(expires_at !== undefined && { expiresAtMs: Date.parse(expires_at) }),
      });
      return { ...agentToWire(deps, made), ledger: made.ledger };
    },
  );
  mount(router, deps, listAgents, async ({ caller, query }) => {
    const { owner, kind, status } = query;
    const agents = await deps.records.listAgents(caller.organization, {
      ...pageAfter(query),
      owner,
      kind,
      standing: status && { is: status, atMs: deps.now() },
    });
    const items = agents.map((agent) => agentToWire(deps, agent));
    return pageOf(query, items);
  });
  mountThing(router, deps, getAgent, async ({ caller: { organization }, params: { id } }) => {
    const agent = found(await deps.records.findAgent(organization, id));
    const record = await deps.records.agentRecord(organization, id);
    const seen = { on: "agent", ...agent, stoppedAtMs: record.stoppedAtMs } as const;
    return { seen, answer: agentRecordToWire(deps, agent, record) };
  });
  mount(router, deps, getAgentAccess, async ({ caller, params, query: { cursor, limit } }) => {
    const page = await deps.journeys.explainAccess({ caller, agent: params.id, after: cursor, limit });
    return accessToWire(page, deps.now());
  });
  mount(router, deps, getAgentHistory, async ({ caller: { organization }, params: { id }, query }) => {
    found(await deps.records.findAgent(organization, id));
    const { entries, asOf } = await deps.records.agentHistory(organization, id, query);
    const items = entries.map(({ index, entry }) => ({ index, entry: JSON.parse(entry) }));
    const last = items.at(-1);
    const next = items.length < query.limit ? undefined : last?.index;
    return { log: logOf(organization), items, as_of: asOf, next };
  });
  mountLifeCycle(router, deps);
}

function mountLifeCycle(router: Router, deps: EndpointDeps & AdminDeps): void {
  const answerOf = (agent: Recorded<Agent> & { readonly receipt?: RevocationReceipt }) => ({
    ...agentToWire(deps, agent),
    ledger: agent.ledger,
    receipt: agent.receipt?.signed,
  });
  mount(router, deps, resumeAgent, async ({ caller, context, params }) => {
    const request = { caller, context, agent: params.id, status: "active" } as const;
    return answerOf(await deps.journeys.setAgentStatus(request));
  });
  for (const [stop, status] of stops) {
    mount(router, deps, stop, async ({ caller, context, params }) =>
      answerOf(await deps.journeys.stopAgent({ caller, context, agent: params.id, status })),
    );
  }
  mount(router, deps, transferAgent, async ({ caller, context, params, body: { owner } }) =>
    answerOf(await deps.journeys.transferAgent({ caller, context, agent: params.id, owner })),
  );
  mount(router, deps, revokeAgent, async ({ caller, context, params }) => {
    const request = { caller, context, agent: params.id, status: "retired" } as const;
    return receiptToWire((await deps.journeys.stopAgent(request)).receipt);
  });
  mount(router, deps, getAgentReach, async ({ caller: { organization }, params: { id } }) => {
    found(await deps.records.findAgent(organization, id));
    return reachNowToWire(await deps.records.reachNow({ organization, kind: "agent", id }));
  });
}
