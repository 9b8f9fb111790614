import {
  authorizeAction,
  getAccountability,
  getAction,
  listActionReports,
  listActions,
  reportAction,
} from "@countersign/sdk/contract/actions";
import type { AgentId } from "@countersign/sdk/model/ids";
import type { Router } from "express";
import { unaccountedAfterMs } from "../../domain/action.ts";
import type { AdminDeps } from "../admin-deps.ts";
import { type Authenticated, demandScope } from "../caller.ts";
import { type EndpointDeps, mount, mountForPresenter } from "../endpoint.ts";
import { found } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { actionReportToWire, actionToWire, authorizationToWire, reportedToWire } from "../wire-actions.ts";

/** `/v1/authorize` and `/v1/actions`: what agents may do, what they did, and what of it is accounted for. */
export function mountActions(router: Router, deps: EndpointDeps & AdminDeps): void {
  mountForPresenter(router, deps, authorizeAction, async ({ caller, claims, accessToken, context, body }) => {
    const { action, scope, tool_call, ...traits } = body;
    const call = tool_call && { ...tool_call, argumentsHash: tool_call.arguments_hash };
    const presented = { presenter: caller, claims, accessToken, context };
    return authorizationToWire(
      await deps.journeys.authorizeAction({ ...presented, action, scope, call, traits }),
    );
  });
  mount(router, deps, reportAction, async ({ caller, context, body: { report } }) => {
    return reportedToWire(await deps.journeys.reportAction({ caller, context, report }));
  });
  mountReading(router, deps);
}

function mountReading(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, listActions, async ({ query, ...reader }) => {
    const agent = readableAgent(reader, query.agent);
    const { organization } = reader.caller;
    const filter = { agent, delegation: query.delegation };
    const actions = await deps.records.listActions(organization, filter, pageAfter(query));
    return pageOf(
      query,
      actions.map((action) => actionToWire(action, deps.now())),
    );
  });
  mount(router, deps, getAction, async ({ params, ...reader }) => {
    const accounted = found(await deps.records.findAction(reader.caller.organization, params.id));
    readableAgent(reader, accounted.action.agent);
    return actionToWire(accounted, deps.now());
  });
  mount(router, deps, listActionReports, async ({ params, query, ...reader }) => {
    const agent = await knownAgent(deps, reader, params.id);
    const { limit, cursor } = query;
    const page = { limit, afterIndex: cursor === undefined ? undefined : Number(cursor) };
    const reports = await deps.records.listReports(reader.caller.organization, agent, page);
    const last = reports.at(-1);
    return {
      items: reports.map(actionReportToWire),
      ...(last !== undefined && reports.length >= limit && { next: String(last.ledger.index) }),
    };
  });
  mount(router, deps, getAccountability, async ({ params, ...reader }) => {
    const agent = await knownAgent(deps, reader, params.id);
    const before = new Date(deps.now() - unaccountedAfterMs);
    const sums = await deps.records.accountabilityOf(reader.caller.organization, agent, before);
    const { outOfScope, ...others } = sums;
    return { agent, ...others, out_of_scope: outOfScope };
  });
}

/**
 * The agent whose actions are read; undefined is every one.
 *
 * @throws RefusedRequest `insufficient_scope` for who is no auditor and no agent, DomainError `not_found` for another agent's
 */
function readableAgent(reader: Authenticated, asked: AgentId): AgentId;
function readableAgent(reader: Authenticated, asked: AgentId | undefined): AgentId | undefined;
function readableAgent(reader: Authenticated, asked: AgentId | undefined): AgentId | undefined {
  const { caller } = reader;
  if (caller.kind !== "agent") demandScope(reader, ["audit", "admin"]);
  if (caller.kind !== "agent" || reader.scope.includes("audit") || reader.scope.includes("admin"))
    return asked;
  // What other agents did is to this one as if it had not been.
  return found(asked === undefined || asked === caller.id ? caller.id : undefined);
}

async function knownAgent(deps: AdminDeps, reader: Authenticated, asked: AgentId): Promise<AgentId> {
  const agent = readableAgent(reader, asked);
  return found(await deps.records.findAgent(reader.caller.organization, agent)).id;
}
