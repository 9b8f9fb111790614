import { isPlainObject, sameJson } from "./bounded-json.ts";
import { parseSpiffeId, type SpiffeId } from "./spiffe-id.ts";

/** One hop of a chain: an agent that acted, and the issuer that knows it. */
export interface Actor {
  readonly iss: string;
  readonly sub: SpiffeId;
}

/**
 * Who acts for whom: the current presenter first, then each older hop, down to the agent that the subject itself
 * authorised. Never truncated.
 */
export type ActorChain = readonly Actor[];

/** The `act` claim: the outermost is the presenter, each inner one an older hop. */
export interface ActClaim {
  readonly iss: string;
  readonly sub: string;
  readonly sub_profile: "ai_agent";
  readonly act?: ActClaim;
}

/** Hops of one chain at the most: what a Delegation's depth allows, and what a verifier will walk. */
export const actorChainLengthMax = 16;

/**
 * The `act` claim of a chain, or undefined for an empty one: nothing was delegated, so there is no actor.
 *
 * @see RFC 8693, section 4.1; OAuth Actor Profile (no `cnf` inside `act`)
 */
export function actClaimOf(chain: ActorChain): ActClaim | undefined {
  let act: ActClaim | undefined;
  for (const { iss, sub } of chain.toReversed()) {
    act = { iss, sub, sub_profile: "ai_agent", ...(act && { act }) };
  }
  return act;
}

/** The chain that an `act` claim spells, or undefined when any hop is malformed or the chain too long. */
export function actorChainOf(act: unknown): ActorChain | undefined {
  const chain: Actor[] = [];
  for (let hop = act; hop !== undefined; ) {
    if (typeof hop !== "object" || hop === null || chain.length === actorChainLengthMax) return undefined;
    const { iss, sub, sub_profile, act: older, ...rest } = hop as Record<string, unknown>;
    const spiffeId = typeof sub === "string" ? parseSpiffeId(sub) : undefined;
    if (typeof iss !== "string" || spiffeId === undefined || sub_profile !== "ai_agent") return undefined;
    // A confirmation key inside a hop would let an older actor's key stand in for the presenter's.
    if ("cnf" in rest) return undefined;
    chain.push({ iss, sub: spiffeId });
    hop = older;
  }
  return chain;
}

/**
 * Whether a presented `act` claim says exactly what is recorded: the same hops in the same order, nothing left out and
 * nothing added. Undefined says that nothing was delegated.
 */
export function isActOf(recorded: ActorChain, act: unknown): boolean {
  let hop = act;
  for (const { iss, sub } of recorded) {
    if (!isPlainObject(hop)) return false;
    const { act: older, ...claims } = hop;
    if (!sameJson({ iss, sub, sub_profile: "ai_agent" }, claims)) return false;
    hop = older;
  }
  return hop === undefined;
}
