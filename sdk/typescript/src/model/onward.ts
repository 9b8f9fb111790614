import type { Actor } from "./actor-chain.ts";
import { type Audience, parseAudience, sameAudience, withoutRootSlash } from "./audience.ts";
import { type AgentId, parseId } from "./ids.ts";
import { nameScope, type Scope, scopeBeyond, scopeOf } from "./scope.ts";

/** An Agent that may redeem an access token of the Delegation by RFC 8693, for one Resource and some of the scope. */
export interface OnwardTarget {
  readonly agent: AgentId;
  /** May be another Resource than the Delegation's own. */
  readonly resource: Audience;
  readonly scope: Scope;
}

/** The targets that may be listed below something; `any` is what a User has to give, before the first Delegation. */
export type OnwardTargets = readonly OnwardTarget[] | "any";

/** The `may_act` claim: the one party that may act next. */
export interface MayActClaim {
  readonly iss: string;
  readonly sub: string;
  readonly sub_profile: "ai_agent";
}

const targetsMax = 16;

/**
 * Why the targets of a child go beyond what it may list; undefined: they do not. Each target's scope is within the
 * child's own, each is covered by one of the parent's with the same agent and resource, and a hop is left for it.
 */
export function onwardBeyond(
  parent: OnwardTargets,
  child: { readonly onward: readonly OnwardTarget[]; readonly scope: Scope; readonly maxDepth: number },
): string | undefined {
  const { onward, scope, maxDepth } = child;
  if (onward.length === 0) return undefined;
  if (onward.length > targetsMax) return `at most ${targetsMax} onward targets can be named`;
  if (!onward.every(isWellFormed)) return "an onward target is an agent, a resource and some scope";
  // Two entries for one party would leave open which of them counts.
  const pairs = onward.map(({ agent, resource }) => `${agent} ${withoutRootSlash(resource)}`);
  if (new Set(pairs).size < pairs.length) return "an agent and resource are named twice";
  if (maxDepth === 0) return "onward targets need a further hop";
  for (const target of onward) {
    const beyond = scopeBeyond(target.scope, scope);
    if (beyond.length > 0)
      return `an onward target has more than the delegation's scope: ${nameScope(beyond)}`;
    if (parent !== "any" && !parent.some((one) => coversTarget(one, target))) {
      return "an onward target is not among the parent's";
    }
  }
  return undefined;
}

/**
 * The `may_act` claim of a token whose Delegation lists these targets: the agent, where all of them name one; else
 * undefined, since the claim has room for one party.
 *
 * @see RFC 8693, section 4.4
 */
export function mayActOf(
  onward: readonly OnwardTarget[],
  actorOf: (agent: AgentId) => Actor,
): MayActClaim | undefined {
  const [agent, ...others] = new Set(onward.map((target) => target.agent));
  if (agent === undefined || others.length > 0) return undefined;
  const { iss, sub } = actorOf(agent);
  return { iss, sub, sub_profile: "ai_agent" };
}

function coversTarget(parent: OnwardTarget, child: OnwardTarget): boolean {
  return (
    parent.agent === child.agent &&
    sameAudience(parent.resource, child.resource) &&
    scopeBeyond(child.scope, parent.scope).length === 0
  );
}

function isWellFormed({ agent, resource, scope }: OnwardTarget): boolean {
  return (
    parseId("agent", agent) !== undefined &&
    parseAudience(resource) !== undefined &&
    scope.length > 0 &&
    scopeOf(scope) !== undefined
  );
}
