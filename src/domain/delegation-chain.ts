import { type ActClaim, actClaimOf } from "@countersign/sdk/model/actor-chain";
import { detailsBeyond } from "@countersign/sdk/model/authorization-details";
import { budgetBeyond } from "@countersign/sdk/model/budget";
import type { AgentId, UserId } from "@countersign/sdk/model/ids";
import { onwardBeyond } from "@countersign/sdk/model/onward";
import { scopeBeyond } from "@countersign/sdk/model/scope";
import { spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { AgentKind, AgentStatus } from "./agent.ts";
import type { Delegation } from "./delegation.ts";
import type { Resource } from "./resource.ts";
import type { UserStatus } from "./user.ts";

/** One Delegation of a chain with its grantee and the User who answers for it. */
export interface Hop {
  readonly delegation: Delegation;
  readonly agent: { readonly id: AgentId; readonly kind: AgentKind; readonly status: AgentStatus };
  readonly owner: { readonly id: UserId; readonly status: UserStatus };
}

/** A Delegation with everything that it rests on, as recorded. */
export interface DelegationChain {
  /** From the root to the leaf. */
  readonly hops: readonly Hop[];
  readonly leaf: Hop;
  readonly subject: { readonly id: UserId; readonly status: UserStatus };
  readonly resource: Resource;
}

/**
 * The chain that recorded hops make up, root first, or undefined when they are not one path on which authority
 * narrows: a hop is missing, or stems from another root, subject, resource, organization or grantor than it must.
 */
export function chainOf(
  hops: readonly Hop[],
  subject: DelegationChain["subject"],
  resource: Resource,
): DelegationChain | undefined {
  const leaf = hops.at(-1);
  if (leaf === undefined || leaf.delegation.path.length !== hops.length) return undefined;
  const joined = hops.every(({ delegation }, place) => {
    const parent = hops[place - 1]?.delegation;
    return (
      delegation.id === leaf.delegation.path[place] &&
      delegation.organization === resource.organization &&
      delegation.subject === subject.id &&
      delegation.resource === resource.id &&
      delegation.root === hops[0]?.delegation.id &&
      delegation.parent === parent?.id &&
      delegation.grantor === parent?.grantee &&
      (parent === undefined || isNarrower(delegation, parent))
    );
  });
  return joined ? { hops, leaf, subject, resource } : undefined;
}

function isNarrower(child: Delegation, parent: Delegation): boolean {
  return (
    child.path.length === parent.path.length + 1 &&
    parent.path.every((id, place) => id === child.path[place]) &&
    child.expiresAtMs <= parent.expiresAtMs &&
    child.maxDepth < parent.maxDepth &&
    scopeBeyond(child.scope, parent.scope).length === 0 &&
    detailsBeyond(parent.authorizationDetails, child.authorizationDetails) === undefined &&
    budgetBeyond(parent.budget, child.budget) === undefined &&
    onwardBeyond(parent.onward, child) === undefined
  );
}

/** Why a chain carries no authority now. */
export interface ChainFault {
  readonly code: "invalid_delegation" | "subject_not_active";
  /** For the ledger: names the hop. */
  readonly reason: string;
}

/** The first thing on the chain that is revoked, over or no longer active; undefined when all of it is live. */
export function faultOf(chain: DelegationChain, nowMs: number): ChainFault | undefined {
  for (const { delegation, agent, owner } of chain.hops) {
    if (delegation.status !== "active") {
      return { code: "invalid_delegation", reason: `${delegation.id} is ${delegation.status}` };
    }
    if (delegation.expiresAtMs <= nowMs)
      return { code: "invalid_delegation", reason: `${delegation.id} has expired` };
    const inactive = [agent, owner].find(({ status }) => status !== "active");
    if (inactive !== undefined) return inactiveParty(inactive);
  }
  const inactive = [chain.subject, chain.resource].find(({ status }) => status !== "active");
  return inactive && inactiveParty(inactive);
}

function inactiveParty({ id, status }: { readonly id: string; readonly status: string }): ChainFault {
  return { code: "subject_not_active", reason: `${id} is ${status}` };
}

/** The `act` claim that the recorded path gives: the leaf's grantee outermost. */
export function recordedActOf(
  chain: DelegationChain,
  issuer: string,
  trustDomain: TrustDomain,
): ActClaim | undefined {
  const actors = chain.hops.map(({ delegation: { organization, grantee } }) => ({
    iss: issuer,
    sub: spiffeIdOf(trustDomain, { kind: "agent", organization, id: grantee }),
  }));
  return actClaimOf(actors.reverse());
}
