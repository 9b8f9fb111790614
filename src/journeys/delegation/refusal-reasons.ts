import type { Refused } from "@countersign/sdk/model/narrow";
import { type Agent, agentFault } from "../../domain/agent.ts";
import type { ChainFault, DelegationChain } from "../../domain/delegation-chain.ts";
import { delegationUnusable, partyInactive, type Trail } from "../record/record.ts";
import type { Refusal } from "../record/refusal.ts";

/** What an entry says of the delegation that is used. */
export function chainTrail({ leaf, subject, resource }: DelegationChain): Partial<Trail> {
  return {
    owner: leaf.owner.id,
    subject: subject.id,
    delegation: leaf.delegation.id,
    path: [...leaf.delegation.path],
    resource: resource.audience,
  };
}

/** What an attempt was about: a delegation that exists, by its id; whatever else was made up, all the same. */
export function targetOf(chain: DelegationChain | undefined): string {
  return chain?.leaf.delegation.id ?? "unknown";
}

/** For whoever presents a delegation that is not theirs, which is told as if there were none. */
export function notGranteeRefusal(chain: DelegationChain | undefined): Refusal {
  const reason =
    chain === undefined ? "there is no such delegation here" : "presented by another than its grantee";
  return { code: "invalid_delegation", publicDetail: delegationUnusable, reason };
}

export function faultRefusal({ code, reason }: ChainFault): Refusal {
  return { code, publicDetail: code === "invalid_delegation" ? delegationUnusable : partyInactive, reason };
}

/** For whom nothing can be given to now: the Agent or its owner is not active; undefined for all others. */
export function granteeRefusal(grantee: Agent, nowMs: number): Refusal | undefined {
  const reason = agentFault(grantee, { id: grantee.owner, status: grantee.ownerStatus }, nowMs);
  return reason === undefined ? undefined : faultRefusal({ code: "subject_not_active", reason });
}

/** For what would be wider than the delegation, or can't be compared with it. */
export function wideningRefusal({ dimension, reason, unreadable }: Refused): Refusal {
  const code = unreadable ? "invalid_authorization_details" : codeOfDimension[dimension];
  return { code, publicDetail: reason, reason: `${dimension}: ${reason}` };
}

const codeOfDimension = {
  resource: "invalid_target",
  scope: "scope_widening",
  authorization_details: "scope_widening",
  expiry: "scope_widening",
  depth: "scope_widening",
  budget: "scope_widening",
  onward: "scope_widening",
  session: "scope_widening",
  exclusive: "scope_widening",
} as const;
