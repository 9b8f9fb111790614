import { obligationsMax } from "@countersign/sdk/contract/obligation";
import { type Decision, type DecisionRequest, tooManyObligations } from "../domain/decision.ts";
import type { Obliged } from "../domain/obligation.ts";

/** What a policy says of several questions as of one. */
export interface JointDecision {
  readonly decision: Decision;
  /** The question that it was decided by. */
  readonly request: DecisionRequest;
  /** The questions that nothing is given for; none when all are allowed. */
  readonly notAllowed: readonly DecisionRequest[];
}

/**
 * Asks all that one request comes to. All are allowed, or the request is not: then the rule that denies one is told, or
 * else one that demands an approval. What is allowed comes with the obligations of all.
 *
 * @throws RangeError without a question
 */
export function decideTogether(
  decide: (request: DecisionRequest) => Decision,
  requests: readonly DecisionRequest[],
): JointDecision {
  const answers = requests.map((request) => ({ request, decision: decide(request) }));
  const refused = answers.filter(({ decision }) => decision.effect !== "allow");
  const decisive = refused.find(({ decision }) => decision.effect === "deny") ?? refused[0] ?? answers[0];
  if (decisive === undefined) throw new RangeError("a decision needs a scope");
  const { request, decision } = decisive;
  const notAllowed = refused.map((one) => one.request);
  if (decision.effect !== "allow") return { decision, request, notAllowed };
  const obligations = distinct(answers.flatMap((one) => one.decision.obligations));
  if (obligations.length <= obligationsMax)
    return { decision: { ...decision, obligations }, request, notAllowed };
  const reason = `It would come with more than ${obligationsMax} obligations`;
  const denial = { effect: "deny", rule: tooManyObligations, reason, obligations: [] } as const;
  return { decision: { ...denial, policy: decision.policy }, request, notAllowed: requests };
}

/** A line that applies to several questions obliges once. */
function distinct(obligations: readonly Obliged[]): readonly Obliged[] {
  const byRule = new Map(obligations.map((one) => [one.rule, one]));
  return [...byRule.values()];
}
