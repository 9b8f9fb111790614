import { isDeepStrictEqual } from "node:util";
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
  /** Ids of the rules that decided no case, and obliged in none that names its obligations. */
  readonly untestedRules: readonly string[];
}

/** Has a policy decide each case of a decision table, and compares. */
export function testPolicy(snapshot: PolicySnapshot, cases: readonly PolicyCase[]): PolicyTest {
  const outcomes = cases.map((policyCase) => {
    const decision = decide(snapshot, policyCase.request);
    return { policyCase, decision, isAsExpected: isAsExpected(decision, policyCase.expected) };
  });
  const deciding = new Set(outcomes.flatMap(rulesTestedBy));
  const ruleIds = [...rulesIn(snapshot.rules)].map((rule) => rule[column.rule] ?? "");
  return { outcomes, untestedRules: ruleIds.filter((id) => !deciding.has(id)) };
}

function isAsExpected({ effect, rule, obligations }: Decision, expected: PolicyCase["expected"]): boolean {
  const told = obligations.map(({ rule: _, ...obligation }) => obligation);
  return (
    effect === expected.effect &&
    rule === expected.rule &&
    (expected.obligations === undefined || isDeepStrictEqual(told, expected.obligations))
  );
}

/** The rule that decided; and those that obliged, where the case says to what. */
function rulesTestedBy({
  decision: { rule, obligations },
  policyCase,
}: Omit<CaseOutcome, "isAsExpected">): string[] {
  const isTold = policyCase.expected.obligations !== undefined;
  return [rule, ...(isTold ? obligations.map((obliged) => obliged.rule) : [])];
}
