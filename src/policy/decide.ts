import { type Decision, type DecisionRequest, defaultDeny, malformedRequest } from "../domain/decision.ts";
import { column, isMatchable } from "./check-row.ts";
import { namesOf } from "./roles.ts";
import { candidatesFor } from "./rule-index.ts";
import type { PolicySnapshot } from "./snapshot.ts";

/**
 * Decides one request by one version of the policy: the same question always has the same decision. A denial outweighs
 * every allowance, and what no rule allows is denied; of several rules that agree, the first in the policy is named.
 * Time grows with the names that the subject has, not with the policy.
 */
export function decide(snapshot: PolicySnapshot, request: DecisionRequest): Decision {
  const policy = snapshot.hash;
  if (!isWellFormed(request)) {
    return {
      effect: "deny",
      rule: malformedRequest,
      reason: "A value of the request is no identifier",
      policy,
    };
  }
  const names = namesOf(snapshot.roles, request);
  const { isAllowed, rule } = snapshot.enforce(candidatesFor(snapshot.rules, request, names), names, request);
  return {
    effect: isAllowed ? "allow" : "deny",
    rule: rule[column.rule] ?? defaultDeny,
    reason: rule[column.reason] ?? "No rule allows it",
    policy,
  };
}

// A value with a `*` could quote a wildcard: granted as one segment, read by a resource as many.
function isWellFormed(request: DecisionRequest): boolean {
  const { organization, subject, roles, relation, resource, action, scope } = request;
  return [organization, subject, relation, resource, action, scope, ...roles].every(isMatchable);
}
