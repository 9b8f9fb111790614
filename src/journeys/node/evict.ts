import type { NodeId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Node } from "../../domain/node.ts";
import { callerConditions } from "../record/conditions.ts";
import {
  demandFound,
  demandOperator,
  type RecordDeps,
  type Recorded,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";

export interface EvictNodeDeps extends RecordDeps {
  readonly findNode: (organization: OrganizationId, id: NodeId) => Promise<Node | undefined>;
}

export interface EvictNodeRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly node: NodeId;
  readonly context: RequestContext;
}

/**
 * Ends a Node: from this commit on it gets nothing any more, and its machine is let in again by an operator's act alone.
 * SVIDs that it got for workloads buy no token any more, and stay good with others until they end.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `not_found`, `conflict` for one that is evicted,
 *   `ledger_unavailable`
 */
export async function evictNode(
  deps: EvictNodeDeps,
  { caller, node: id, context }: EvictNodeRequest,
): Promise<Recorded<Node>> {
  const asked: Trail = { ...trailOf(caller, context), action: "node.evict" };
  await demandOperator(deps, "mutation.refused", caller, asked);
  const node = await demandFound(deps, asked, await deps.findNode(caller.organization, id), noNode);
  const trail: Trail = { ...asked, target: { kind: "node", id } };
  if (node.status !== "active") throw await refuse(deps, "mutation.refused", trail, id, evicted);
  const ledger = await record(deps, {
    type: "node.evicted",
    refusedAs: "mutation.refused",
    trail,
    outcome: { detail: { attestation: node.attestation, subject: node.subject } },
    writes: [{ set: "node", id, from: ["active"], to: "evicted" }],
    conditions: callerConditions(caller),
    demands: context.demands,
  });
  return { ...node, status: "evicted", ledger };
}

/** There is none of this id. */
export const noNode = plainRefusal("not_found", "there is no such node");
const evicted = plainRefusal("conflict", "the node is evicted already");
