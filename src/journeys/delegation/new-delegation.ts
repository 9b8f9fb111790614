import { type BudgetUnit, unitsOf } from "@countersign/sdk/model/budget";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import type { AgentId, DelegationId, OperatorId, TokenId, UserId } from "@countersign/sdk/model/ids";
import type { Grant, GrantRequest } from "@countersign/sdk/model/narrow";
import type { OnwardTarget } from "@countersign/sdk/model/onward";
import type { Scope } from "@countersign/sdk/model/scope";
import type { Agent } from "../../domain/agent.ts";
import type { Delegation } from "../../domain/delegation.ts";
import type { DelegationChain, Hop } from "../../domain/delegation-chain.ts";
import type { Resource } from "../../domain/resource.ts";
import type { Write } from "../../store/write.ts";

/** What one party hands to an Agent; what is left out takes its default. */
export interface DelegationTerms {
  readonly toAgent: AgentId;
  readonly resource: string;
  readonly scope: Scope;
  /** Milliseconds since the epoch. Default: the lesser of one hour from now and the parent's. */
  readonly expiresAtMs?: number | undefined;
  /** Further hops. Default: none for a root grant, the parent's less one for a child. */
  readonly maxDepth?: number | undefined;
  /** As they were sent: narrowing reads them, so that a refusal is recorded. Default: all of the parent's. */
  readonly authorizationDetails?: unknown;
  readonly budget?: Readonly<Record<string, number>> | undefined;
  readonly onward?: readonly OnwardTarget[] | undefined;
  /** Default: none for a root grant, the parent's for a child. */
  readonly session?: string | undefined;
  /** Default: the parent's; a root grant is not. */
  readonly exclusive?: boolean | undefined;
}

/** The part of the terms that narrows the parent's. */
export function grantRequestOf({ toAgent: _, ...terms }: DelegationTerms): GrantRequest {
  return terms;
}

/** Where a new delegation stands and between whom. */
interface Standing {
  readonly id: DelegationId;
  /** From the root to the parent; empty for a root. */
  readonly above: readonly Hop[];
  readonly subject: UserId;
  readonly grantee: Agent;
  readonly resource: Resource;
  readonly assertedBy?: OperatorId;
  /** The access token whose redemption makes it. */
  readonly redeemed?: TokenId;
}

/** A delegation to be, with all that it rests on: which is active, or the commit refuses it. */
export function newDelegation(
  standing: Standing,
  grant: Grant & Pick<Delegation, "onward">,
  nowMs: number,
): DelegationChain {
  const { id, above, subject, grantee, resource, assertedBy, redeemed } = standing;
  const path = [...above.map(({ delegation }) => delegation.id), id];
  const delegation: Delegation = {
    ...grant,
    id,
    organization: resource.organization,
    root: path[0] ?? id,
    parent: path.at(-2),
    path,
    subject,
    grantor: above.at(-1)?.agent.id,
    grantee: grantee.id,
    granteeTenure: grantee.tenure,
    resource: resource.id,
    status: "active",
    assertedBy,
    redeemed,
    createdAtMs: nowMs,
  };
  const leaf: Hop = {
    delegation,
    tokenRevoked: false,
    resource,
    agent: {
      id: grantee.id,
      kind: grantee.kind,
      status: "active",
      tenure: grantee.tenure,
      expiresAtMs: grantee.expiresAtMs,
      // Only what was redeemed below asks for it, and nothing is yet.
      stoppedAtMs: undefined,
    },
    owner: { id: grantee.owner, status: "active" },
  };
  return { hops: [...above, leaf], leaf, subject: { id: subject, status: "active" }, resource };
}

/** What comes to stand with a delegation: its row, and the allowance that moves to it from its parent. */
export function delegationWrites(delegation: Delegation, parent: Delegation | undefined): Write[] {
  const allotted = unitsOf(delegation.budget).flatMap((unit): Write[] => {
    const allowance = delegation.budget[unit];
    if (allowance === undefined) return [];
    const row = { delegation_id: delegation.id, organization_id: delegation.organization, unit, allowance };
    return [{ into: "budget", row }, ...spend(parent, unit, allowance)];
  });
  return [delegationWrite(delegation), ...allotted];
}

/** What is taken from a delegation, where it is limited in this unit. */
export function spend(from: Delegation | undefined, unit: BudgetUnit, amount: number): Write[] {
  return from?.budget[unit] === undefined || amount === 0 ? [] : [{ spend: unit, of: from.id, amount }];
}

function delegationWrite(delegation: Delegation): Write {
  const row = {
    id: delegation.id,
    organization_id: delegation.organization,
    root_id: delegation.root,
    parent_id: delegation.parent ?? null,
    path: delegation.path,
    subject_id: delegation.subject,
    grantor_agent_id: delegation.grantor ?? null,
    grantee_agent_id: delegation.grantee,
    grantee_tenure: delegation.granteeTenure,
    resource_id: delegation.resource,
    scope: delegation.scope,
    authorization_details: canonicalJson(delegation.authorizationDetails),
    budget: canonicalJson(delegation.budget),
    onward: canonicalJson(
      delegation.onward.map(({ agent, resource, scope, tenure }) => ({ agent, resource, scope, tenure })),
    ),
    max_depth: delegation.maxDepth,
    expires_at: new Date(delegation.expiresAtMs),
    status: "active",
    asserted_by: delegation.assertedBy ?? null,
    redeemed_jti: delegation.redeemed ?? null,
    session: delegation.session ?? null,
    exclusive: delegation.exclusive === true,
    created_at: new Date(delegation.createdAtMs),
  } as const;
  return { into: "delegation", row };
}

/** What the entry says of a delegation that was made. */
export function delegationOutcome(delegation: Delegation) {
  const { id, path, scope, expiresAtMs, maxDepth, onward, session, exclusive, redeemed } = delegation;
  return {
    delegation: id,
    path: [...path],
    scope: [...scope],
    detail: {
      expires_at: new Date(expiresAtMs).toISOString(),
      max_depth: maxDepth,
      ...(onward.length > 0 && { onward: [...new Set(onward.map(({ agent }) => agent))] }),
      ...(session !== undefined && { session }),
      ...(exclusive && { exclusive }),
      ...(redeemed !== undefined && { redeemed }),
    },
  };
}
