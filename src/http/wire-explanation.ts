import type { ExplainedDecision } from "../journeys/policy/explain.ts";

/** What would be said to an Agent and why, as the contract writes it. */
export function explanationToWire({ isGiven, explanation, chain, narrowed, obstacles }: ExplainedDecision) {
  const { decision, against, without, nearest } = explanation;
  const { effect, rule, reason, policy } = decision;
  return {
    given: isGiven,
    effect,
    rule,
    reason,
    policy,
    obligations: explanation.obligations,
    obstacles,
    delegation: chain && {
      id: chain.leaf.delegation.id,
      path: chain.leaf.delegation.path,
      subject: chain.subject.id,
      narrowed,
    },
    against,
    without: without && { effect: without.effect, rule: without.rule, reason: without.reason },
    nearest,
  };
}
