import { newId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { JoinToken } from "../../domain/node.ts";
import { joinTokenHash } from "../../svid/attest/node/join-token.ts";
import { callerConditions } from "../record/conditions.ts";
import {
  type CreateDeps,
  demandOperator,
  type Recorded,
  type RequestContext,
  record,
  type Trail,
  trailOf,
} from "../record/record.ts";

export interface CreateJoinTokenRequest {
  /** An operator. */
  readonly caller: Principal;
  /** What the node that joins with it will be called. */
  readonly name: string | undefined;
  readonly lifetimeSeconds: number;
  readonly context: RequestContext;
}

/** A join token with its secret, which is told once. */
export type MadeJoinToken = Recorded<Omit<JoinToken, "status">> & { readonly token: string };

const tokenBytes = 32;

/**
 * Makes a token with which one machine may join as a node, once.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `subject_not_active`, `ledger_unavailable`
 */
export async function createJoinToken(
  deps: CreateDeps,
  { caller, name, lifetimeSeconds, context }: CreateJoinTokenRequest,
): Promise<MadeJoinToken> {
  const { organization } = caller;
  const nowMs = deps.now();
  const trail: Trail = { ...trailOf(caller, context), action: "join_token.create" };
  await demandOperator(deps, "mutation.refused", caller, trail);
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
  } as const;
  const ledger = await record(deps, {
    type: "join_token.created",
    refusedAs: "mutation.refused",
    trail,
    outcome: { detail: { join_token: id, expires_at: row.expires_at.toISOString() } },
    writes: [{ into: "join_token", row }],
    conditions: callerConditions(caller),
    demands: context.demands,
  });
  return { id, organization, name, expiresAtMs, token, ledger };
}
