import { type Decision, type DecisionRequest, defaultDeny, malformedRequest } from "../domain/decision.ts";
import { parseObligation } from "../domain/obligation.ts";
import { column, isMatchable, isVerdict, type PolicyRule } from "./check-row.ts";
import { attributesOf } from "./entities.ts";
import { namesOf } from "./roles.ts";
import { candidatesFor } from "./rule-index.ts";
import type { PolicySnapshot } from "./snapshot.ts";
import type { Known } from "./unmet.ts";

/**
 * Decides one request by one version of the policy: the same question always has the same decision. A denial outweighs
 * every allowance, and what no rule allows is denied; of several rules that agree, the first in the policy is named. What
 * is allowed may need an approval, or come with obligations: of every line that matches, not of the first.
 * Time grows with the names that the subject has, not with the policy.
 */
export function decide(snapshot: PolicySnapshot, request: DecisionRequest): Decision {
  const policy = snapshot.hash;
  if (!isWellFormed(request)) {
    const reason = "A value of the request is no identifier";
    return { effect: "deny", rule: malformedRequest, reason, policy, obligations: [] };
  }
  const names = namesOf(snapshot.roles, request);
  const attributes = attributesOf(snapshot.entities, request);
  const candidates = candidatesFor(snapshot.rules, request, names);
  const verdicts = candidates.filter(isVerdict);
  const { isAllowed, rule } = snapshot.enforce(verdicts, names, request, attributes);
  const [id = defaultDeny, reason = "No rule allows it"] = [rule[column.rule], rule[column.reason]];
  if (!isAllowed || verdicts.length === candidates.length) {
    return { effect: isAllowed ? "allow" : "deny", rule: id, reason, policy, obligations: [] };
  }
  const known = { request, names, attributes };
  const obliging = candidates.filter((one) => !isVerdict(one) && applies(snapshot, one, known));
  const approval = obliging.find((one) => one[column.eft] === "needs_approval");
  if (approval !== undefined) {
    const [byRule = "", why = ""] = [approval[column.rule], approval[column.reason]];
    return { effect: "needs_approval", rule: byRule, reason: why, policy, obligations: [] };
  }
  const obligations = obliging.flatMap((one) => {
    const obligation = parseObligation(one[column.eft] ?? "");
    return obligation === undefined ? [] : [{ ...obligation, rule: one[column.rule] ?? "" }];
  });
  return { effect: "allow", rule: id, reason, policy, obligations };
}

/** Whether a line that denies or obliges applies: it is asked as if it denied, and where it would, it does. */
export function applies(
  { enforce }: PolicySnapshot,
  rule: PolicyRule,
  { request, names, attributes }: Known,
): boolean {
  return enforce([rule.with(column.eft, "deny")], names, request, attributes).rule.length > 0;
}

// A value with a `*` could quote a wildcard: granted as one segment, read by a resource as many.
function isWellFormed(request: DecisionRequest): boolean {
  const { organization, subject, roles, relation, resource, action, scope } = request;
  return [organization, subject, relation, resource, action, scope, ...roles].every(isMatchable);
}
