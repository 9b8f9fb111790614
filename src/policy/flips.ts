import { isDeepStrictEqual } from "node:util";
import type { Decision, DecisionRequest } from "../domain/decision.ts";
import { decide } from "./decide.ts";
import { decideTogether } from "./decide-together.ts";
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

/** Has two policies answer what one request came to. @throws RangeError without a question */
export function compareOn(
  before: PolicySnapshot,
  after: PolicySnapshot,
  requests: readonly DecisionRequest[],
): Comparison {
  const answerOf = (snapshot: PolicySnapshot) =>
    decideTogether((request) => decide(snapshot, request), requests).decision;
  const [was, is] = [answerOf(before), answerOf(after)];
  return {
    before: verdictOf(was),
    after: verdictOf(is),
    isFlip: was.effect !== is.effect || !isDeepStrictEqual(was.obligations, is.obligations),
  };
}

function verdictOf({ effect, rule, obligations }: Decision): Verdict {
  return { effect, rule, obligedBy: obligations.map((obliged) => obliged.rule) };
}
