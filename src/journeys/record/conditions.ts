import type { TokenId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Agent } from "../../domain/agent.ts";
import type { Client } from "../../domain/client.ts";
import type { DelegationChain, Hop } from "../../domain/delegation-chain.ts";
import type { Condition, StandingCondition } from "../../store/write.ts";

/** That the thing of this id is still active when the entry is committed. */
export function active(on: StandingCondition["on"], id: string): StandingCondition {
  return { on, id, status: activeOnly };
}

const activeOnly = ["active"];

/** That an Agent is active and in the tenure of the owner it was read with; whether that owner is, is another. */
export function activeAgent({ id, tenure }: Pick<Agent, "id" | "tenure">): Condition {
  return { ...active("agent", id), tenure };
}

/**
 * That everything a delegation rests on is: every hop with its agent, owner and Resource, and the subject; and of a hop
 * that came of redeeming a token, that neither it was revoked since nor an agent above stopped.
 */
export function chainConditions({ hops, subject }: DelegationChain): Condition[] {
  const users = new Set([subject.id, ...hops.map(({ owner }) => owner.id)]);
  const resources = new Set(hops.map(({ resource }) => resource.id));
  return [
    ...hops.map(({ delegation }) => active("delegation", delegation.id)),
    ...activeAgents(hops),
    ...[...users].map((id) => active("user", id)),
    ...[...resources].map((id) => active("resource", id)),
    ...hops.flatMap(({ delegation: { redeemed, createdAtMs } }, place) =>
      redeemed ? [notRevoked(redeemed), ...unstopped(activeAgents(hops.slice(0, place)), createdAtMs)] : [],
    ),
  ];
}

function activeAgents(hops: readonly Hop[]): Condition[] {
  const agents = new Map(hops.map(({ agent }) => [agent.id, agent]));
  return [...agents.values()].map(activeAgent);
}

/** That an access token was not revoked. */
export function notRevoked(jti: TokenId): Condition {
  return { on: "revoked_token", id: jti };
}

/** That a client and the User who answers for it are. */
export function clientConditions({ principal, owner, tenure }: Client): Condition[] {
  return [
    principal.kind === "agent" && tenure !== undefined
      ? activeAgent({ id: principal.id, tenure })
      : active(principal.kind, principal.id),
    ...(owner === undefined ? [] : [active("user", owner.id)]),
  ];
}

/** That the key that signed still speaks for its principal. */
export function keyConditions({ credentials }: Client, kid: string): Condition[] {
  return credentials.flatMap(({ id, thumbprint }) => (thumbprint === kid ? [active("credential", id)] : []));
}

/** That the principal who asks is. */
export function callerConditions({ kind, id }: Principal): Condition[] {
  return [active(kind, id)];
}

/** The same, and that no Agent of them was stopped since a token was issued: what is resumed revives no token. */
export function sinceIssued(conditions: readonly Condition[], issuedAtSeconds: number): Condition[] {
  return unstopped(conditions, issuedAtSeconds * 1000);
}

/** Where two times are given for an Agent, the earlier one holds. */
function unstopped(conditions: readonly Condition[], sinceMs: number): Condition[] {
  const since = new Date(sinceMs).toISOString();
  return conditions.map((condition) => {
    if (condition.on !== "agent") return condition;
    const { unstoppedSince = since } = condition;
    return { ...condition, unstoppedSince: unstoppedSince < since ? unstoppedSince : since };
  });
}
