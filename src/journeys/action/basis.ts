import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { parseId, type TransactionId, type UserId } from "@countersign/sdk/model/ids";
import { type Principal, spiffeIdOf } from "@countersign/sdk/model/spiffe-id";
import type { AgentKind } from "../../domain/agent.ts";
import type { Delegation } from "../../domain/delegation.ts";
import type { DelegationChain } from "../../domain/delegation-chain.ts";
import type { Resource } from "../../domain/resource.ts";
import { joinableTransaction } from "../../domain/transaction.ts";
import type { Condition, Write } from "../../store/write.ts";
import { chainTrail } from "../delegation/refusal-reasons.ts";
import { active, chainConditions, clientConditions, notRevoked, sinceIssued } from "../record/conditions.ts";
import type { Trail } from "../record/record.ts";
import type { Refusal } from "../record/refusal.ts";
import { transactionUse } from "../record/session.ts";
import { type GroundsDeps, groundsOf, type OwnGrounds } from "../token/grounds.ts";

/** What a token lets its agent act on: a delegation, or what it was given in its own right. */
export interface Basis {
  readonly live: true;
  readonly resource: Resource;
  /** The delegation; undefined for an agent in its own right. */
  readonly leaf: Delegation | undefined;
  /** Who owns the agent now. */
  readonly owner: UserId;
  /** Whose authority it is; undefined for an agent in its own right. */
  readonly subject: UserId | undefined;
  readonly kind: AgentKind;
  /** That all of it still holds when the entry is committed, the token itself included. */
  readonly conditions: readonly Condition[];
  /** What its use comes with. */
  readonly writes: readonly Write[];
  readonly trail: Partial<Trail>;
}

/** Why a token carries no authority any more. */
export interface NoBasis {
  readonly live: false;
  readonly refusal: Refusal;
  readonly trail: Partial<Trail>;
}

export type AgentPrincipal = Extract<Principal, { kind: "agent" }>;

/**
 * What a token lets its agent act on.
 *
 * @param deps may be cached reads: what they say is read again by the commit
 */
export async function basisOf(
  deps: GroundsDeps,
  agent: AgentPrincipal,
  claims: AccessTokenClaims,
  nowMs: number,
): Promise<Basis | NoBasis> {
  if (claims.client_id !== spiffeIdOf(deps.trustDomain, agent)) return noBasis("it was issued to another");
  if (claims.exp * 1000 <= nowMs) return noBasis("the token has expired");
  const jti = parseId("token", claims.jti);
  const txn = joinableTransaction(claims.txn, nowMs);
  if (jti === undefined || txn === undefined) return noBasis("its transaction is over");
  const grounds = await groundsOf(deps, agent.organization, claims, nowMs);
  if (!grounds.live) return noBasis(grounds.reason, grounds.trail);
  const basis = grounds.chain === undefined ? ownBasis(grounds) : delegatedBasis(grounds.chain, txn);
  if (basis === undefined) return noBasis(`${agent.id} has no owner`);
  return { ...basis, conditions: [...sinceIssued(basis.conditions, claims.iat), notRevoked(jti)] };
}

function delegatedBasis(chain: DelegationChain, txn: TransactionId): Basis {
  const use = transactionUse(chain, txn);
  return {
    live: true,
    resource: chain.resource,
    leaf: chain.leaf.delegation,
    owner: chain.leaf.owner.id,
    subject: chain.subject.id,
    kind: chain.leaf.agent.kind,
    conditions: [...chainConditions(chain), ...use.conditions],
    writes: use.writes,
    trail: chainTrail(chain),
  };
}

function ownBasis({ client, resource }: OwnGrounds): Basis | undefined {
  if (client.owner === undefined || client.kind === undefined) return undefined;
  const owner = client.owner.id;
  return {
    live: true,
    resource,
    leaf: undefined,
    owner,
    subject: undefined,
    kind: client.kind,
    conditions: [...clientConditions(client), active("resource", resource.id)],
    writes: [],
    trail: { owner, resource: resource.audience },
  };
}

/** What the presenter of a token is told that carries no authority any more. */
export const deadToken = "the access token is no longer good";

function noBasis(reason: string, trail: Partial<Trail> = {}): NoBasis {
  return { live: false, refusal: { code: "invalid_token", publicDetail: deadToken, reason }, trail };
}
