import { type NodeId, newId, type OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { JoinToken, Node } from "../../domain/node.ts";
import { joinTokenHash } from "../../svid/attest/node/join-token.ts";
import { active, callerConditions } from "../record/conditions.ts";
import {
  type CreateDeps,
  demandOperator,
  type Recorded,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import { noNode } from "./evict.ts";

export interface CreateJoinTokenDeps extends CreateDeps {
  readonly findNode: (organization: OrganizationId, id: NodeId) => Promise<Node | undefined>;
}

export interface CreateJoinTokenRequest {
  /** An operator. */
  readonly caller: Principal;
  /** What the node that joins with it will be called. */
  readonly name: string | undefined;
  /** The Node that a machine is again which joins with it; undefined: it becomes another one. */
  readonly node: NodeId | undefined;
  readonly lifetimeSeconds: number;
  readonly context: RequestContext;
}

/** A join token with its secret, which is told once. */
export type MadeJoinToken = Recorded<Omit<JoinToken, "status" | "createdAtMs">> & { readonly token: string };

const tokenBytes = 32;

/**
 * Makes a token with which one machine may join as a node, once: as another one, or as one that there is.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `not_found` for a node that there is none of,
 *   `conflict` for one that is evicted, `subject_not_active`, `ledger_unavailable`
 */
export async function createJoinToken(
  deps: CreateJoinTokenDeps,
  { caller, name, node, lifetimeSeconds, context }: CreateJoinTokenRequest,
): Promise<MadeJoinToken> {
  const { organization } = caller;
  const nowMs = deps.now();
  const trail: Trail = { ...trailOf(caller, context), action: "join_token.create" };
  await demandOperator(deps, "mutation.refused", caller, trail);
  const known = node && (await deps.findNode(organization, node));
  if (node !== undefined && known === undefined)
    throw await refuse(deps, "mutation.refused", trail, "unknown", noNode);
  if (known && known.status !== "active")
    throw await refuse(deps, "mutation.refused", trail, known.id, evicted);
  const id = newId("joinToken", nowMs, deps.randomBytes(16));
  const token = Buffer.from(deps.randomBytes(tokenBytes)).toString("base64url");
  const expiresAtMs = nowMs + lifetimeSeconds * 1000;
  const row = {
    id,
    organization_id: organization,
    token_hash: joinTokenHash(token),
    name: name ?? null,
    expires_at: new Date(expiresAtMs),
    status: "unused",
    created_at: new Date(nowMs),
    node_id: node ?? null,
  } as const;
  const ledger = await record(deps, {
    type: "join_token.created",
    refusedAs: "mutation.refused",
    trail,
    outcome: {
      ...(node !== undefined && { target: { kind: "node", id: node } }),
      detail: { join_token: id, expires_at: row.expires_at.toISOString() },
    },
    writes: [{ into: "join_token", row }],
    conditions: [...callerConditions(caller), ...(node === undefined ? [] : [active("node", node)])],
    demands: context.demands,
  });
  return { id, organization, name, node, expiresAtMs, token, ledger };
}

const evicted = plainRefusal("conflict", "the node is evicted: let it in again first");
