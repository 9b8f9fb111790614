import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import {
  type DelegationId,
  type OrganizationId,
  parseId,
  type TransactionId,
  type UserId,
} from "@countersign/sdk/model/ids";
import { isTokenOf } from "@countersign/sdk/model/recorded-token";
import { type Principal, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { rolesOf } from "../../domain/agent.ts";
import { type Client, isLiveClient } from "../../domain/client.ts";
import type { Delegation } from "../../domain/delegation.ts";
import { type DelegationChain, faultOf, recordedOf } from "../../domain/delegation-chain.ts";
import type { Resource } from "../../domain/resource.ts";
import { joinableTransaction } from "../../domain/transaction.ts";
import type { Condition, Write } from "../../store/write.ts";
import { chainTrail } from "../delegation/refusal-reasons.ts";
import { active, chainConditions, clientConditions, notRevoked, sinceIssued } from "../record/conditions.ts";
import type { Refusal, Trail } from "../record/record.ts";
import { sessionBinding } from "../record/session.ts";

export interface BasisDeps {
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  readonly now: () => number;
  /** These may be cached reads: what they say is read again by the commit. */
  readonly findDelegationChain: (
    organization: OrganizationId,
    id: DelegationId,
  ) => Promise<DelegationChain | undefined>;
  readonly findClient: (principal: Principal) => Promise<Client | undefined>;
  readonly findResourceByAudience: (
    organization: OrganizationId,
    audience: string,
  ) => Promise<Resource | undefined>;
}

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
  readonly roles: readonly string[];
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

/** What a token rests on, as far as reads that may be cached can tell. */
export async function basisOf(
  deps: BasisDeps,
  agent: AgentPrincipal,
  claims: AccessTokenClaims,
  nowMs: number,
): Promise<Basis | NoBasis> {
  if (claims.client_id !== spiffeIdOf(deps.trustDomain, agent)) return noBasis("it was issued to another");
  if (claims.exp * 1000 <= nowMs) return noBasis("the token has expired");
  const jti = parseId("token", claims.jti);
  const txn = joinableTransaction(claims.txn, nowMs);
  if (jti === undefined || txn === undefined) return noBasis("its transaction is over");
  const basis = await (claims.delegation === undefined
    ? directBasis(deps, agent, claims, nowMs)
    : delegatedBasis(deps, agent, { claims, txn }, nowMs));
  if (!basis.live) return basis;
  return { ...basis, conditions: [...sinceIssued(basis.conditions, claims.iat), notRevoked(jti)] };
}

async function delegatedBasis(
  deps: BasisDeps,
  agent: AgentPrincipal,
  { claims, txn }: { readonly claims: AccessTokenClaims; readonly txn: TransactionId },
  nowMs: number,
): Promise<Basis | NoBasis> {
  const id = parseId("delegation", claims.delegation ?? "");
  const chain = id && (await deps.findDelegationChain(agent.organization, id));
  if (chain === undefined) return noBasis("its delegation is not recorded as one path");
  const trail = chainTrail(chain);
  const fault = faultOf(chain, nowMs);
  if (fault !== undefined) return noBasis(fault.reason, trail);
  if (!isTokenOf(recordedOf(chain, deps.issuer, deps.trustDomain), claims)) {
    return noBasis("its claims are not what is recorded", trail);
  }
  const session = sessionBinding(chain, txn);
  return {
    live: true,
    resource: chain.resource,
    leaf: chain.leaf.delegation,
    owner: chain.leaf.owner.id,
    subject: chain.subject.id,
    roles: rolesOf(chain.leaf.agent.kind),
    conditions: [...chainConditions(chain), ...session.conditions],
    writes: session.writes,
    trail,
  };
}

async function directBasis(
  deps: BasisDeps,
  agent: AgentPrincipal,
  claims: AccessTokenClaims,
  nowMs: number,
): Promise<Basis | NoBasis> {
  if (claims.sub !== claims.client_id || claims.act !== undefined) return noBasis("it names actors");
  const [client, resource] = await Promise.all([
    deps.findClient(agent),
    deps.findResourceByAudience(agent.organization, claims.aud),
  ]);
  if (client?.owner === undefined || !isLiveClient(client, nowMs))
    return noBasis(`${agent.id} or its owner is not active`);
  const owner = client.owner.id;
  const trail = { owner, resource: claims.aud };
  if (resource?.status !== "active") return noBasis("its audience is not active", trail);
  return {
    live: true,
    resource,
    leaf: undefined,
    owner,
    subject: undefined,
    roles: client.roles,
    conditions: [...clientConditions(client), active("resource", resource.id)],
    writes: [],
    trail,
  };
}

/** What the presenter of a token is told that carries no authority any more. */
export const deadToken = "the access token is no longer good";

function noBasis(reason: string, trail: Partial<Trail> = {}): NoBasis {
  return { live: false, refusal: { code: "invalid_token", publicDetail: deadToken, reason }, trail };
}
