import type { ObligationWire } from "@countersign/sdk/contract/obligation";
import { type Decision, type DecisionRequest, defaultDeny, malformedRequest } from "../domain/decision.ts";
import { column, type PolicyRule } from "./check-row.ts";
import { applies, decide } from "./decide.ts";
import { attributesOf } from "./entities.ts";
import { recordedObligations } from "./recorded-obligations.ts";
import { namesOf } from "./roles.ts";
import { candidatesFor, indexThese, rulesIn } from "./rule-index.ts";
import type { PolicySnapshot } from "./snapshot.ts";
import { comparisonsOf, type Known, type ToldComparison, type Unmet, unmetBy, withAll } from "./unmet.ts";

/** A line that says no, or wants an approval first. */
export interface Opposing {
  readonly rule: string;
  readonly effect: "deny" | "needs_approval";
  readonly reason: string;
  /** How its condition stands to what is known: where it can't be told, the line applies. */
  readonly when: readonly ToldComparison[];
}

/** A line that would allow it, and what it asks for that the request does not have. */
export interface Suggestion {
  readonly rule: string;
  readonly reason: string;
  readonly unmet: readonly Unmet[];
  /** What would be said then; absent where no request can have it: the policy itself tells otherwise of an entity. */
  readonly would?: Pick<Decision, "effect" | "rule">;
}

/** A decision and what it came of. */
export interface Explanation {
  readonly decision: Decision;
  /** The decision's, as entries and answers tell them. */
  readonly obligations?: readonly ObligationWire[];
  /** The first 20 lines that stand against it. */
  readonly against: readonly Opposing[];
  /** What would be said if no line stood against it; absent where none does. */
  readonly without?: Decision;
  /** The lines that would allow it and fail by the fewest things; none where one allows it. */
  readonly nearest: readonly Suggestion[];
}

const opposingTold = 20;
const suggestionsMax = 3;

/**
 * Tells why a policy decides as it does, and the nearest that it would allow. Looks at every line, and takes time by how
 * many there are; lines of other organizations are not told of.
 */
export function explain(snapshot: PolicySnapshot, request: DecisionRequest): Explanation {
  const decision = decide(snapshot, request);
  if (decision.rule === malformedRequest || decision.effect === "allow")
    return { ...told(decision), against: [], nearest: [] };
  const names = namesOf(snapshot.roles, request);
  const known = { request, names, attributes: attributesOf(snapshot.entities, request) };
  const opposing = opposingTo(snapshot, known);
  const without =
    opposing.length === 0 ? undefined : decide(withoutThese(snapshot, known, opposing), request);
  const isAllowedElse = without?.effect === "allow";
  return {
    ...told(decision),
    against: opposing.slice(0, opposingTold).map((rule) => toldOf(rule, known)),
    ...(without && { without }),
    nearest: isAllowedElse ? [] : nearestTo(snapshot, known),
  };
}

function told(decision: Decision): Pick<Explanation, "decision" | "obligations"> {
  const obligations = recordedObligations(decision.obligations);
  return { decision, ...(obligations && { obligations }) };
}

/** The lines that deny, and those that want an approval. */
function opposingTo(snapshot: PolicySnapshot, known: Known): readonly PolicyRule[] {
  return candidatesFor(snapshot.rules, known.request, known.names).filter(
    (rule) =>
      (rule[column.eft] === "deny" || rule[column.eft] === "needs_approval") &&
      applies(snapshot, rule, known),
  );
}

/** The policy as far as it concerns the request, without these lines. */
function withoutThese(
  snapshot: PolicySnapshot,
  { request, names }: Known,
  left: readonly PolicyRule[],
): PolicySnapshot {
  const ids = new Set(left.map((rule) => rule[column.rule]));
  const rest = candidatesFor(snapshot.rules, request, names).filter((rule) => !ids.has(rule[column.rule]));
  // The index lays allowances backwards, and takes them in the order of the policy.
  const allowing = rest.filter((rule) => rule[column.eft] === "allow").reverse();
  const others = rest.filter((rule) => rule[column.eft] !== "allow");
  return { ...snapshot, rules: indexThese([...allowing, ...others]) };
}

function toldOf(rule: PolicyRule, { attributes }: Known): Opposing {
  return {
    rule: rule[column.rule] ?? "",
    effect: rule[column.eft] === "deny" ? "deny" : "needs_approval",
    reason: rule[column.reason] ?? "",
    when: comparisonsOf(rule, attributes),
  };
}

/** The allowing lines that fail by the fewest things; of those that fail by as many, the first in the policy. */
function nearestTo(snapshot: PolicySnapshot, known: Known): readonly Suggestion[] {
  const byCount = new Map<number, Suggestion[]>();
  const allowing = [...rulesIn(snapshot.rules)].filter((rule) => rule[column.eft] === "allow").reverse();
  for (const rule of allowing) {
    const unmet = unmetBy(rule, known);
    // What matches and does not allow is outweighed, which is told of already.
    if (unmet === undefined || unmet.length === 0) continue;
    const alike = byCount.get(unmet.length) ?? [];
    byCount.set(unmet.length, alike);
    if (alike.length === suggestionsMax) continue;
    const suggestion = suggestionOf(snapshot, known.request, rule, unmet);
    if (suggestion !== undefined) alike.push(suggestion);
  }
  const counts = [...byCount.keys()].sort((one, other) => one - other);
  return counts.flatMap((count) => byCount.get(count) ?? []).slice(0, suggestionsMax);
}

function suggestionOf(
  snapshot: PolicySnapshot,
  request: DecisionRequest,
  rule: PolicyRule,
  unmet: readonly Unmet[],
): Suggestion | undefined {
  const { effect, rule: by } = decide(snapshot, withAll(request, unmet));
  const line = { rule: rule[column.rule] ?? "", reason: rule[column.reason] ?? "", unmet };
  // Not even then: two comparisons contradict each other, or what the policy knows outweighs what could be told.
  if (by !== defaultDeny && by !== malformedRequest) return { ...line, would: { effect, rule: by } };
  return unmet.some(({ of }) => of === "condition") ? line : undefined;
}
