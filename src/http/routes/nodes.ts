import { createJoinToken, evictNode, getNode, listNodes, readmitNode } from "@countersign/sdk/contract/nodes";
import type { Router } from "express";
import type { AdminDeps } from "../admin-deps.ts";
import { type EndpointDeps, mount, mountThing } from "../endpoint.ts";
import { found } from "../found.ts";
import { pageAfter, pageOf } from "../page.ts";
import { nodeToWire } from "../wire.ts";

/** `/v1/nodes` and `/v1/join-tokens`: the machines that serve the Workload API. */
export function mountNodes(router: Router, deps: EndpointDeps & AdminDeps): void {
  mount(router, deps, createJoinToken, async ({ caller, context, body }) => {
    const { name, node, expires_in: lifetimeSeconds } = body;
    const made = await deps.journeys.createJoinToken({ caller, context, name, node, lifetimeSeconds });
    const { id, token, expiresAtMs, ledger } = made;
    return { id, token, name, node, expires_at: new Date(expiresAtMs).toISOString(), ledger };
  });
  mount(router, deps, listNodes, async ({ caller, query }) => {
    const nodes = await deps.records.listNodes(caller.organization, pageAfter(query));
    return pageOf(
      query,
      nodes.map((node) => nodeToWire(deps, node)),
    );
  });
  mountThing(router, deps, getNode, async ({ caller, params }) => {
    const node = found(await deps.records.findNode(caller.organization, params.id));
    return { seen: { on: "node", id: node.id, status: node.status }, answer: nodeToWire(deps, node) };
  });
  mount(router, deps, evictNode, async ({ caller, context, params }) => {
    const { ledger, ...node } = await deps.journeys.evictNode({ caller, context, node: params.id });
    return { ...nodeToWire(deps, node), ledger };
  });
  mount(router, deps, readmitNode, async ({ caller, context, params }) => {
    const { ledger, ...node } = await deps.journeys.readmitNode({ caller, context, node: params.id });
    return { ...nodeToWire(deps, node), ledger };
  });
}
