import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Client } from "../../domain/client.ts";
import type { DelegationChain } from "../../domain/delegation-chain.ts";
import type { Condition, StatusCondition } from "../../store/write.ts";

/** That the thing of this id is still active when the entry is committed. */
export function active(on: StatusCondition["on"], id: string): Condition {
  return { on, id, status: activeOnly };
}

const activeOnly = ["active"];

/** That everything a delegation rests on is: every hop with its agent and owner, the subject and the Resource. */
export function chainConditions({ hops, subject, resource }: DelegationChain): Condition[] {
  const agents = new Set(hops.map(({ agent }) => agent.id));
  const users = new Set([subject.id, ...hops.map(({ owner }) => owner.id)]);
  return [
    ...hops.map(({ delegation }) => active("delegation", delegation.id)),
    ...[...agents].map((id) => active("agent", id)),
    ...[...users].map((id) => active("user", id)),
    active("resource", resource.id),
  ];
}

/** That a client and the User who answers for it are. */
export function clientConditions({ principal, owner }: Client): Condition[] {
  const own = active(principal.kind, principal.id);
  return owner === undefined ? [own] : [own, active("user", owner.id)];
}

/** That the principal who asks is. */
export function callerConditions({ kind, id }: Principal): Condition[] {
  return [active(kind, id)];
}
