import { type DelegationId, newId, type OrganizationId } from "@countersign/sdk/model/ids";
import { narrow } from "@countersign/sdk/model/narrow";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { grantOf } from "../../domain/delegation.ts";
import { type DelegationChain, faultOf } from "../../domain/delegation-chain.ts";
import type { DecideDeps } from "../decide-scopes.ts";
import { narrowQuestion } from "../questions.ts";
import { active, activeAgent, chainConditions } from "../record/conditions.ts";
import {
  type RecordDeps,
  type Recorded,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import type { Refusal } from "../record/refusal.ts";
import { decideDelegation } from "./decide-delegation.ts";
import {
  type DelegationTerms,
  delegationOutcome,
  delegationWrites,
  grantRequestOf,
  newDelegation,
} from "./new-delegation.ts";
import { type OnwardTargetDeps, onwardOf, targetConditions } from "./onward-targets.ts";
import {
  chainTrail,
  faultRefusal,
  granteeRefusal,
  notGranteeRefusal,
  targetOf,
  wideningRefusal,
} from "./refusal-reasons.ts";

export interface NarrowDeps extends DecideDeps, RecordDeps, OnwardTargetDeps {
  /** May be a cached read: what it says is read again by the commit. */
  readonly findDelegationChain: (
    organization: OrganizationId,
    id: DelegationId,
  ) => Promise<DelegationChain | undefined>;
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
 *   `not_found` for a grantee that is not there, `invalid_target`, `scope_widening`,
 *   `invalid_authorization_details`, `not_authorized`, `subject_not_active`, `ledger_unavailable`
 */
export async function narrowDelegation(
  deps: NarrowDeps,
  { caller, parent, terms, context }: NarrowRequest,
): Promise<Recorded<DelegationChain>> {
  const { organization } = caller;
  const nowMs = deps.now();
  const asked: Trail = { ...trailOf(caller, context), action: "delegation.narrow" };

  const chain = await deps.findDelegationChain(organization, parent);
  // Whose the delegation is, and whether there is one, is nobody's business but its grantee's.
  if (chain === undefined || chain.leaf.agent.id !== caller.id) {
    const claimed = { ...asked, delegation: parent };
    // An existing delegation is a target of its own, so that an attempt on it is never counted under a made-up one.
    throw await refuse(deps, "delegation.refused", claimed, targetOf(chain), notGranteeRefusal(chain));
  }
  const { leaf, subject, resource } = chain;
  const used: Trail = { ...asked, ...chainTrail(chain) };
  const refused = (trail: Trail, refusal: Refusal) =>
    refuse(deps, "delegation.refused", trail, leaf.delegation.id, refusal);

  const fault = faultOf(chain, nowMs);
  if (fault !== undefined) throw await refused(used, faultRefusal(fault));
  const grantee = await deps.findAgent(organization, terms.toAgent);
  if (grantee === undefined) throw await refused(used, noGrantee);
  const trail: Trail = { ...used, target: { kind: "agent", id: grantee.id } };

  const unfit = granteeRefusal(grantee, nowMs);
  if (unfit !== undefined) throw await refused(trail, unfit);
  const narrowing = narrow(grantOf(leaf.delegation, resource), grantRequestOf(terms), nowMs);
  if (!narrowing.narrowed) throw await refused(trail, wideningRefusal(narrowing));
  const decided = await decideDelegation(deps, resource, narrowing.grant, (about) =>
    narrowQuestion(leaf.agent, about),
  );
  if (decided.effect !== "allow") throw await refused(trail, decided.refusal);
  const { targets } = decided;
  const grant = { ...narrowing.grant, onward: onwardOf(targets, leaf.delegation) };

  const id = newId("delegation", nowMs, deps.randomBytes(16));
  const standing = { id, above: chain.hops, subject: subject.id, grantee, resource };
  const child = newDelegation(standing, grant, nowMs);
  const { delegation } = child.leaf;
  const ledger = await record(deps, {
    type: "delegation.created",
    refusedAs: "delegation.refused",
    trail,
    outcome: { ...delegationOutcome(delegation), decision: decided.decision },
    writes: [...delegationWrites(delegation, leaf.delegation), decided.write],
    conditions: [
      ...chainConditions(chain),
      activeAgent(grantee),
      active("user", grantee.owner),
      ...targetConditions(targets),
    ],
    demands: context.demands,
  });
  return { ...child, ledger };
}

const noGrantee: Refusal = {
  code: "not_found",
  publicDetail: "there is no such agent to delegate to",
  reason: "the grantee is not there",
};
