import { isDeepStrictEqual } from "node:util";
import { type Decision, type DecisionRequest, decisiveOf } from "../domain/decision.ts";
import { decide } from "./decide.ts";
import type { PolicySnapshot } from "./snapshot.ts";

/** What a policy says to all that one request came to. */
export interface Verdict extends Pick<Decision, "effect" | "rule"> {
  /** The rules that an allowance comes with. */
  readonly obligedBy: readonly string[];
}

/** What two policies say to one request, and whether that differs: in its effect, or in what an allowance comes with. */
export interface Comparison {
  readonly before: Verdict;
  readonly after: Verdict;
  readonly isFlip: boolean;
}

/** Has two policies answer what one request came to. */
export function compareOn(
  before: PolicySnapshot,
  after: PolicySnapshot,
  requests: readonly [DecisionRequest, ...DecisionRequest[]],
): Comparison {
  const [was, is] = [answerOf(before, requests), answerOf(after, requests)];
  return {
    before: verdictOf(was),
    after: verdictOf(is),
    isFlip: was.effect !== is.effect || !isDeepStrictEqual(was.obligations, is.obligations),
  };
}

/** As `decideAll` answers, and what each of its allowances comes with. */
function answerOf(
  snapshot: PolicySnapshot,
  [first, ...others]: readonly [DecisionRequest, ...DecisionRequest[]],
) {
  const ask = (request: DecisionRequest) => ({ decision: decide(snapshot, request) });
  const answers = [ask(first), ...others.map(ask)] as const;
  const { effect, rule } = decisiveOf(answers).decision;
  // Of a request that is not allowed nothing is done that an obligation could come with.
  const obligations = effect === "allow" ? answers.map(({ decision }) => decision.obligations) : [];
  return { effect, rule, obligations };
}

function verdictOf({ effect, rule, obligations }: ReturnType<typeof answerOf>): Verdict {
  return { effect, rule, obligedBy: [...new Set(obligations.flat().map((obliged) => obliged.rule))] };
}
