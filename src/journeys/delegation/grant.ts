import { newId, type OrganizationId, type UserId } from "@countersign/sdk/model/ids";
import { narrow } from "@countersign/sdk/model/narrow";
import { type Scope, scopeBeyond } from "@countersign/sdk/model/scope";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { rootGrantOf } from "../../domain/delegation.ts";
import type { DelegationChain } from "../../domain/delegation-chain.ts";
import type { Resource } from "../../domain/resource.ts";
import type { User } from "../../domain/user.ts";
import type { DecideDeps } from "../decide-scopes.ts";
import { grantQuestion } from "../questions.ts";
import { active, activeAgent, callerConditions } from "../record/conditions.ts";
import {
  demandOperator,
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
import { granteeRefusal, wideningRefusal } from "./refusal-reasons.ts";

export interface GrantDeps extends DecideDeps, RecordDeps, OnwardTargetDeps {
  readonly findUser: (organization: OrganizationId, id: UserId) => Promise<User | undefined>;
}

export interface GrantRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly fromUser: UserId;
  readonly terms: DelegationTerms;
  readonly context: RequestContext;
}

/**
 * Records a root delegation that an operator asserts a User to wish: what a User can grant is what policy allows them
 * on the Resource and on that of each onward target, and the entry says who asserted it, never that the User consented.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator and for what policy does not allow, `not_found`
 *   for parties that are not there, `invalid_target`, `invalid_scope` for a scope that the Resource does not have,
 *   `scope_widening`, `invalid_authorization_details`, `subject_not_active`, `ledger_unavailable`
 */
export async function grantDelegation(
  deps: GrantDeps,
  { caller, fromUser, terms, context }: GrantRequest,
): Promise<Recorded<DelegationChain>> {
  const { organization } = caller;
  const nowMs = deps.now();
  const asked: Trail = { ...trailOf(caller, context), action: "delegation.grant" };
  const operator = await demandOperator(deps, "delegation.refused", caller, asked);
  const asserted: Trail = { ...asked, asserted_by: operator.id };
  const refused = (trail: Trail, refusal: Refusal) =>
    refuse(deps, "delegation.refused", trail, terms.toAgent, refusal);

  const [user, agent, resource] = await Promise.all([
    deps.findUser(organization, fromUser),
    deps.findAgent(organization, terms.toAgent),
    deps.findResourceByAudience(organization, terms.resource),
  ]);
  if (user === undefined || agent === undefined) throw await refused(asserted, noParty);
  const known = {
    ...asserted,
    subject: user.id,
    target: { kind: "agent", id: agent.id },
    owner: agent.owner,
  } as const;
  if (resource === undefined) throw await refused(known, noTarget);
  const trail: Trail = { ...known, resource: resource.audience };

  // Unlike a child's, a root's depth is not inherited: nobody delegates on unless the User said so.
  const request = { ...grantRequestOf(terms), maxDepth: terms.maxDepth ?? 0 };
  const unfit = granteeRefusal(agent, nowMs);
  if (unfit !== undefined) throw await refused(trail, unfit);
  const narrowing = narrow(rootGrantOf(resource, nowMs), request, nowMs);
  if (!narrowing.narrowed) {
    const beyond = scopeBeyond(request.scope, resource.scope);
    const isForeign = narrowing.dimension === "scope" && beyond.length > 0;
    throw await refused(trail, isForeign ? noScope(resource, beyond) : wideningRefusal(narrowing));
  }
  const decided = await decideDelegation(deps, resource, narrowing.grant, (about) =>
    grantQuestion(user.id, about),
  );
  if (decided.effect !== "allow") throw await refused(trail, decided.refusal);
  const { targets } = decided;
  const grant = { ...narrowing.grant, onward: onwardOf(targets) };

  const id = newId("delegation", nowMs, deps.randomBytes(16));
  const standing = { id, above: [], subject: user.id, grantee: agent, resource, assertedBy: operator.id };
  const chain = newDelegation(standing, grant, nowMs);
  const { delegation } = chain.leaf;
  const ledger = await record(deps, {
    type: "delegation.created",
    refusedAs: "delegation.refused",
    trail,
    outcome: { ...delegationOutcome(delegation), decision: decided.decision },
    writes: [...delegationWrites(delegation, undefined), decided.write],
    conditions: [
      ...callerConditions(caller),
      active("user", user.id),
      activeAgent(agent),
      active("user", agent.owner),
      active("resource", resource.id),
      ...targetConditions(targets),
    ],
    demands: context.demands,
  });
  return { ...chain, ledger };
}

/** There is no authority above a root that it could be wider than: the Resource just lacks the scope. */
function noScope({ audience }: Resource, beyond: Scope): Refusal {
  const publicDetail = `${audience} has no scope ${beyond.join(" ")}`;
  return { code: "invalid_scope", publicDetail, reason: publicDetail.slice(0, 1024) };
}

const noParty: Refusal = {
  code: "not_found",
  publicDetail: "there is no such user or agent",
  reason: "user or agent is not there",
};

const noTarget: Refusal = {
  code: "invalid_target",
  publicDetail: "there is no such resource",
  reason: "resource is not there",
};
