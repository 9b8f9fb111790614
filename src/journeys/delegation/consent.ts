import type { DelegationId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { type DelegationChain, faultOf, rests } from "../../domain/delegation-chain.ts";
import type { DecideDeps } from "../decide-scopes.ts";
import { grantQuestion, narrowQuestion } from "../questions.ts";
import { callerConditions, chainConditions } from "../record/conditions.ts";
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
import { type OnwardTargetDeps, targetConditions } from "./onward-targets.ts";
import { chainTrail, faultRefusal, targetOf } from "./refusal-reasons.ts";

export interface ConsentDeps extends DecideDeps, RecordDeps, OnwardTargetDeps {
  /** Not cached: whose the grantee is must be so now. */
  readonly findDelegationChain: (
    organization: OrganizationId,
    id: DelegationId,
  ) => Promise<DelegationChain | undefined>;
}

export interface ConsentRequest {
  /** For a root an operator, for a child its grantor. */
  readonly caller: Principal;
  readonly delegation: DelegationId;
  readonly context: RequestContext;
}

/**
 * Lets a delegation that rests since its grantee was transferred hold again, under the owner that the grantee has now:
 * it is to give it once more, so the same party does it and policy is asked the same. Nothing else of it changes.
 *
 * @throws DomainError `not_found` for one that is not there or not the caller's to consent to, which operators are told as
 *   `not_authorized`; `conflict` for one that does not rest, came of redeeming a token, or whose grantee was transferred
 *   meanwhile; `invalid_delegation` for one that is over or rests on one that is no longer live, `not_authorized` for what
 *   policy does not allow, `subject_not_active`, `ledger_unavailable`
 */
export async function consentToDelegation(
  deps: ConsentDeps,
  { caller, delegation: id, context }: ConsentRequest,
): Promise<Recorded<DelegationChain>> {
  const asked: Trail = { ...trailOf(caller, context), action: "delegation.consent" };
  const chain = await deps.findDelegationChain(caller.organization, id);
  if (chain === undefined || !mayConsent(caller, chain)) {
    const refusal = (caller.kind === "operator" && chain && notAsserted(chain)) || notTheirs;
    throw await refuse(deps, "delegation.refused", { ...asked, delegation: id }, targetOf(chain), refusal);
  }
  const { delegation, agent } = chain.leaf;
  const parent = chain.hops.at(-2);
  const trail: Trail = {
    ...asked,
    ...chainTrail(chain),
    owner: (parent ?? chain.leaf).owner.id,
    target: { kind: "agent", id: agent.id },
    ...(caller.kind === "operator" && { asserted_by: caller.id }),
  };
  const refused = (refusal: Refusal) => refuse(deps, "delegation.refused", trail, id, refusal);
  if (!rests(chain.leaf)) throw await refused(consentedBefore);

  // Everything but the consent must hold: nothing is consented to that stays dead all the same.
  const consented = consentedOf(chain);
  const fault = faultOf(consented, deps.now());
  if (fault !== undefined) throw await refused(faultRefusal(fault));
  const decided = await decideDelegation(deps, chain.resource, delegation, (about) =>
    parent === undefined ? grantQuestion(chain.subject.id, about) : narrowQuestion(parent.agent, about),
  );
  if (decided.effect !== "allow") throw await refused(decided.refusal);

  const { granteeTenure: from } = delegation;
  const ledger = await record(deps, {
    type: "delegation.consented",
    refusedAs: "delegation.refused",
    trail,
    outcome: { scope: [...delegation.scope], decision: decided.decision },
    writes: [{ consent: id, from, to: agent.tenure }, decided.write],
    conditions: [
      ...callerConditions(caller),
      ...chainConditions(consented),
      ...targetConditions(decided.targets),
    ],
    demands: context.demands,
  });
  deps.invalidate(id);
  return { ...consented, ledger };
}

/** The chain as it will be: its last delegation given for the present tenure of its grantee. */
function consentedOf(chain: DelegationChain): DelegationChain {
  const { delegation, agent } = chain.leaf;
  const leaf = { ...chain.leaf, delegation: { ...delegation, granteeTenure: agent.tenure } };
  return { ...chain, hops: [...chain.hops.slice(0, -1), leaf], leaf };
}

/**
 * An operator asserts a User's consent, so to a root only; to a child the agent consents that gave it. What came of
 * redeeming a token nobody gave by a decision of their own, and it ends with the token.
 */
function mayConsent(caller: Principal, { leaf }: DelegationChain): boolean {
  const { grantor, redeemed } = leaf.delegation;
  if (redeemed !== undefined) return false;
  switch (caller.kind) {
    case "operator":
      return grantor === undefined;
    case "agent":
      return grantor === caller.id;
    case "resource":
    case "node":
      return false;
  }
}

/** For an operator, who sees every delegation: whose consent it takes, if anybody's. */
function notAsserted({ leaf }: DelegationChain): Refusal {
  const { grantor, redeemed } = leaf.delegation;
  if (redeemed !== undefined) {
    const publicDetail =
      "it came of redeeming an access token: nobody consents to it, a token is redeemed anew";
    return { code: "conflict", publicDetail, reason: "it came of redeeming an access token" };
  }
  const publicDetail = `${grantor} passed it on: it takes that agent's consent, under its own token`;
  return {
    code: "not_authorized",
    publicDetail,
    reason: "an agent gave it, and an operator consents for Users",
  };
}

const notTheirs: Refusal = {
  code: "not_found",
  publicDetail: "there is no such delegation",
  reason: "not there, or not the caller's to consent to",
};

const consentedBefore: Refusal = {
  code: "conflict",
  publicDetail: "the delegation does not rest",
  reason: "it does not rest",
};
