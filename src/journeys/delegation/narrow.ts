import { type AgentId, type DelegationId, newId, type OrganizationId } from "@countersign/sdk/model/ids";
import { narrow } from "@countersign/sdk/model/narrow";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Agent } from "../../domain/agent.ts";
import { grantOf } from "../../domain/delegation.ts";
import { type DelegationChain, faultOf } from "../../domain/delegation-chain.ts";
import { active, chainConditions } from "../conditions.ts";
import { type DecideDeps, decideScopes } from "../decide-scopes.ts";
import {
  type LedgerPosition,
  type RecordDeps,
  type Refusal,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record.ts";
import { type DelegationTerms, delegationDetail, delegationWrite, grantRequestOf } from "./new-delegation.ts";
import { faultRefusal, notGranteeRefusal, policyRefusal, wideningRefusal } from "./refusals.ts";

export interface NarrowDeps extends DecideDeps, RecordDeps {
  /** May be a cached read: what it says is read again by the commit. */
  readonly findDelegationChain: (
    organization: OrganizationId,
    id: DelegationId,
  ) => Promise<DelegationChain | undefined>;
  readonly findAgent: (organization: OrganizationId, id: AgentId) => Promise<Agent | undefined>;
}

export interface NarrowRequest {
  /** Authenticated; the grantee of the parent. */
  readonly caller: Principal;
  readonly parent: DelegationId;
  readonly terms: DelegationTerms;
  readonly context: RequestContext;
}

/**
 * Passes a part of a delegation on: its grantee makes a child for another agent, never wider than the parent in any
 * dimension. The child's path is the parent's and itself, as recorded.
 *
 * @throws DomainError `invalid_delegation` alike for a parent that is unknown, another agent's, revoked or over;
 *   `not_found` for a grantee that is not there, `invalid_target`, `scope_widening`, `not_authorized`,
 *   `subject_not_active`, `ledger_unavailable`
 */
export async function narrowDelegation(
  deps: NarrowDeps,
  { caller, parent, terms, context }: NarrowRequest,
): Promise<{ readonly id: DelegationId; readonly ledger: LedgerPosition }> {
  const { organization } = caller;
  const nowMs = deps.now();
  const asked: Trail = { ...trailOf(caller, context), action: "delegation.narrow" };

  const chain = await deps.findDelegationChain(organization, parent);
  // Whose the delegation is, and whether there is one, is nobody's business but its grantee's.
  if (chain === undefined || chain.leaf.agent.id !== caller.id) {
    const claimed = { ...asked, delegation: parent };
    throw await refuse(deps, "delegation.refused", claimed, "unknown", notGranteeRefusal(chain));
  }
  const { leaf, subject, resource } = chain;
  const used: Trail = {
    ...asked,
    subject: subject.id,
    path: [...leaf.delegation.path],
    resource: resource.audience,
  };
  const refused = (trail: Trail, refusal: Refusal) =>
    refuse(deps, "delegation.refused", trail, leaf.delegation.id, refusal);

  const fault = faultOf(chain, nowMs);
  if (fault !== undefined) throw await refused(used, faultRefusal(fault));
  const grantee = await deps.findAgent(organization, terms.toAgent);
  if (grantee === undefined) throw await refused(used, noGrantee);
  const trail: Trail = { ...used, agent: grantee.id, owner: grantee.owner };

  const narrowing = narrow(grantOf(leaf.delegation, resource), grantRequestOf(terms), nowMs);
  if (!narrowing.narrowed) throw await refused(trail, wideningRefusal(narrowing.dimension, narrowing.reason));
  const { grant } = narrowing;

  const question = {
    organization,
    subject: caller.id,
    roles: ["agent", `kind:${leaf.agent.kind}`],
    relation: "delegated",
    resource: resource.audience,
    action: "delegation.narrow",
  } as const;
  const decided = decideScopes(deps, question, grant.scope);
  if (decided.denied.length > 0) throw await refused(trail, policyRefusal(decided));

  const id = newId("delegation", nowMs, deps.randomBytes(16));
  const standing = {
    id,
    organization,
    parentPath: leaf.delegation.path,
    subject: subject.id,
    grantor: leaf.agent.id,
    grantee: grantee.id,
    resource: resource.id,
    assertedBy: undefined,
  };
  const ledger = await record(deps, {
    type: "delegation.created",
    refusedAs: "delegation.refused",
    trail,
    outcome: {
      delegation: id,
      path: [...leaf.delegation.path, id],
      ...delegationDetail(grant),
      decision: decided.decision,
    },
    writes: [delegationWrite(standing, grant, nowMs), decided.write],
    conditions: [...chainConditions(chain), active("agent", grantee.id), active("user", grantee.owner)],
  });
  return { id, ledger };
}

const noGrantee: Refusal = {
  code: "not_found",
  publicDetail: "there is no such agent to delegate to",
  reason: "the grantee is not there",
};
