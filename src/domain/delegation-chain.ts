import type { Actor } from "@countersign/sdk/model/actor-chain";
import { sameAudience } from "@countersign/sdk/model/audience";
import { detailsBeyond } from "@countersign/sdk/model/authorization-details";
import { budgetBeyond } from "@countersign/sdk/model/budget";
import type { AgentId, UserId } from "@countersign/sdk/model/ids";
import { mayActOf, onwardBeyond } from "@countersign/sdk/model/onward";
import type { RecordedDelegation } from "@countersign/sdk/model/recorded-token";
import { scopeBeyond } from "@countersign/sdk/model/scope";
import { spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { type Agent, agentFault } from "./agent.ts";
import type { Delegation } from "./delegation.ts";
import type { Resource } from "./resource.ts";
import type { UserStatus } from "./user.ts";

/** One Delegation of a chain with its Resource, its grantee and the User who answers for it. */
export interface Hop {
  readonly delegation: Delegation;
  /** Whether the access token that it came of by redeeming was revoked since. */
  readonly tokenRevoked: boolean;
  readonly resource: Resource;
  readonly agent: Pick<Agent, "id" | "kind" | "status" | "tenure" | "expiresAtMs"> & {
    /** When it was last suspended, retired or transferred, in milliseconds since the epoch. */
    readonly stoppedAtMs: number | undefined;
  };
  readonly owner: { readonly id: UserId; readonly status: UserStatus };
}

/** A Delegation with everything that it rests on, as recorded. */
export interface DelegationChain {
  /** From the root to the leaf. */
  readonly hops: readonly Hop[];
  readonly leaf: Hop;
  readonly subject: { readonly id: UserId; readonly status: UserStatus };
  /** The leaf's. */
  readonly resource: Resource;
}

/**
 * The chain that recorded hops make up, root first, or undefined when they are not one path on which authority
 * narrows: a hop is missing, or stems from another root, subject, resource, organization or grantor than it must.
 */
export function chainOf(
  hops: readonly Hop[],
  subject: DelegationChain["subject"],
): DelegationChain | undefined {
  const leaf = hops.at(-1);
  if (leaf === undefined || leaf.delegation.path.length !== hops.length) return undefined;
  const joined = hops.every((hop, place) => {
    const { delegation, resource } = hop;
    const above = hops[place - 1];
    const parent = above?.delegation;
    return (
      delegation.id === leaf.delegation.path[place] &&
      delegation.organization === leaf.delegation.organization &&
      delegation.organization === resource.organization &&
      delegation.resource === resource.id &&
      delegation.subject === subject.id &&
      delegation.root === hops[0]?.delegation.id &&
      delegation.parent === parent?.id &&
      delegation.grantor === parent?.grantee &&
      (above === undefined ? delegation.redeemed === undefined : stemsFrom(hop, above.delegation))
    );
  });
  return joined ? { hops, leaf, subject, resource: leaf.resource } : undefined;
}

/** Who is passed a delegation gets its Resource; who redeems a token of it, one that it lists, and lists nobody. */
function stemsFrom({ delegation, resource }: Hop, parent: Delegation): boolean {
  if (!isNarrower(delegation, parent)) return false;
  if (delegation.redeemed === undefined) return delegation.resource === parent.resource;
  const isListed = parent.onward.some(
    ({ agent, resource: listed, scope }) =>
      agent === delegation.grantee &&
      sameAudience(listed, resource.audience) &&
      scopeBeyond(delegation.scope, scope).length === 0,
  );
  return isListed && delegation.onward.length === 0;
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
    onwardBeyond(parent.onward, child) === undefined &&
    (parent.session === undefined || child.session === parent.session)
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
  for (const [place, { delegation, tokenRevoked, agent, owner, resource }] of chain.hops.entries()) {
    if (delegation.status !== "active") {
      return { code: "invalid_delegation", reason: `${delegation.id} is ${delegation.status}` };
    }
    if (delegation.expiresAtMs <= nowMs)
      return { code: "invalid_delegation", reason: `${delegation.id} has expired` };
    if (tokenRevoked) return { code: "invalid_delegation", reason: `${delegation.redeemed} is revoked` };
    const stopped = delegation.redeemed && stoppedSince(chain.hops.slice(0, place), delegation.createdAtMs);
    if (stopped) {
      const reason = `${delegation.redeemed} is dead: ${stopped} was stopped since it was redeemed`;
      return { code: "invalid_delegation", reason };
    }
    if (rests({ delegation, agent })) {
      const reason = `${delegation.id} rests until it is consented to again: ${agent.id} has another owner since`;
      return { code: "invalid_delegation", reason };
    }
    const reason = agentFault(agent, owner, nowMs) ?? inactivity(resource);
    if (reason !== undefined) return { code: "subject_not_active", reason };
  }
  const reason = inactivity(chain.subject);
  return reason === undefined ? undefined : { code: "subject_not_active", reason };
}

/** The first of these agents that was stopped at this time or later, whether it may act again or not. */
function stoppedSince(hops: readonly Hop[], sinceMs: number): AgentId | undefined {
  return hops.find(({ agent }) => agent.stoppedAtMs !== undefined && agent.stoppedAtMs >= sinceMs)?.agent.id;
}

function inactivity({ id, status }: { readonly id: string; readonly status: string }): string | undefined {
  return status === "active" ? undefined : `${id} is ${status}`;
}

/** Whether a Delegation was given to its grantee under another owner than it has now. */
export function rests({ delegation, agent }: Pick<Hop, "delegation" | "agent">): boolean {
  return delegation.granteeTenure !== agent.tenure;
}

/** When the first Agent of the chain expires, in milliseconds since the epoch; Infinity where none ever does. */
export function agentsEndAtMs({ hops }: DelegationChain): number {
  return Math.min(...hops.map(({ agent }) => agent.expiresAtMs ?? Number.POSITIVE_INFINITY));
}

/** What the recorded path makes of a token: the leaf's grantee is the presenter, and each hop an actor. */
export function recordedOf(
  chain: DelegationChain,
  issuer: string,
  trustDomain: TrustDomain,
): RecordedDelegation {
  const { id, organization, root, onward, authorizationDetails } = chain.leaf.delegation;
  const actorOf = (agent: AgentId): Actor => ({
    iss: issuer,
    sub: spiffeIdOf(trustDomain, { kind: "agent", organization, id: agent }),
  });
  return {
    delegation: id,
    root,
    subject: chain.subject.id,
    audience: chain.resource.audience,
    chain: chain.hops.map(({ delegation }) => actorOf(delegation.grantee)).reverse(),
    mayAct: mayActOf(onward, actorOf),
    authorizationDetails,
  };
}
