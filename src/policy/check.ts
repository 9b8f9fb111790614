import type { Decision } from "../domain/decision.ts";
import type { PolicyCase } from "./cases.ts";
import { column } from "./check-row.ts";
import { decide } from "./decide.ts";
import type { PolicyProblem } from "./parse-policy.ts";
import { rulesIn } from "./rule-index.ts";
import { type PolicySnapshot, type PolicySource, readPolicy } from "./snapshot.ts";

/** Everything that is wrong with a policy, line by line; nothing when loadPolicy() would take it. */
export function checkPolicy(source: PolicySource): readonly PolicyProblem[] {
  return readPolicy(source).problems;
}

/** A case and what the policy said. */
export interface CaseOutcome {
  readonly policyCase: PolicyCase;
  readonly decision: Decision;
  readonly isAsExpected: boolean;
}

export interface PolicyTest {
  readonly outcomes: readonly CaseOutcome[];
  /** Ids of the rules that decided no case. */
  readonly untestedRules: readonly string[];
}

/** Has a policy decide each case of a decision table, and compares. */
export function testPolicy(snapshot: PolicySnapshot, cases: readonly PolicyCase[]): PolicyTest {
  const outcomes = cases.map((policyCase) => {
    const decision = decide(snapshot, policyCase.request);
    const { effect, rule } = policyCase.expected;
    return { policyCase, decision, isAsExpected: decision.effect === effect && decision.rule === rule };
  });
  const deciding = new Set(outcomes.map(({ decision }) => decision.rule));
  const ruleIds = [...rulesIn(snapshot.rules)].map((rule) => rule[column.rule] ?? "");
  return { outcomes, untestedRules: ruleIds.filter((id) => !deciding.has(id)) };
}
