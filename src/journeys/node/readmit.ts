import type { NodeId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Node } from "../../domain/node.ts";
import { callerConditions } from "../record/conditions.ts";
import {
  demandFound,
  demandOperator,
  type Recorded,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import { type EvictNodeDeps, noNode } from "./evict.ts";
import { type ListNodeSvids, spends } from "./node-svid.ts";

export interface ReadmitNodeDeps extends EvictNodeDeps, ListNodeSvids {}

export interface ReadmitNodeRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly node: NodeId;
  readonly context: RequestContext;
}

/**
 * Lets a machine in again that was evicted: it joins by fresh evidence, as the Node that it was, with the entries that it
 * had. No SVID that it got before is good for anything.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `not_found`, `conflict` for one that is not evicted,
 *   `ledger_unavailable`
 */
export async function readmitNode(
  deps: ReadmitNodeDeps,
  { caller, node: id, context }: ReadmitNodeRequest,
): Promise<Recorded<Node>> {
  const asked: Trail = { ...trailOf(caller, context), action: "node.readmit" };
  await demandOperator(deps, "mutation.refused", caller, asked);
  const node = await demandFound(deps, asked, await deps.findNode(caller.organization, id), noNode);
  const trail: Trail = { ...asked, target: { kind: "node", id } };
  if (node.status !== "evicted") throw await refuse(deps, "mutation.refused", trail, id, notEvicted);
  // While it is evicted none is issued to it: these are all.
  const { standing } = await deps.listNodeSvids(node);
  const ledger = await record(deps, {
    type: "node.readmitted",
    refusedAs: "mutation.refused",
    trail,
    outcome: { detail: { attestation: node.attestation, subject: node.subject } },
    writes: [{ set: "node", id, from: ["evicted"], to: "active" }, ...standing.map(spends)],
    conditions: callerConditions(caller),
    demands: context.demands,
  });
  return { ...node, status: "active", ledger };
}

const notEvicted = plainRefusal("conflict", "the node is not evicted");
