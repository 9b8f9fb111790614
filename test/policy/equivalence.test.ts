import { isDeepStrictEqual } from "node:util";
import { type Enforcer, newEnforcer, newModelFromString } from "casbin";
import { expect, test } from "vitest";
import { type DecisionRequest, defaultDeny } from "../../src/domain/decision.ts";
import { conditionsOfRules } from "../../src/policy/casbin.ts";
import { column } from "../../src/policy/check-row.ts";
import { decide } from "../../src/policy/decide.ts";
import { covers } from "../../src/policy/pattern.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { policyText, type RandomPolicy, randomPolicy, randomRequest, seededRandom } from "./random-policy.ts";

const policies = 2_000;
const requestsPerPolicy = 60;
const effect = column.eft;
const { model } = await readShippedPolicy();

/**
 * An ordinary enforcer over these rows: Casbin's own role manager and its own walk over every rule. A subject's own roles
 * are assignments like others to it. Denials stand first and allowances backwards, so that the rule it names is the one
 * that decide() promises to name: the first in the policy.
 */
async function stockEnforcer(rules: readonly string[][], policy: RandomPolicy): Promise<Enforcer> {
  const { assignments, ownRoles } = policy;
  const enforcer = await newEnforcer(newModelFromString(model));
  await enforcer.addFunction("covers", covers);
  await enforcer.addFunction("holds", conditionsOfRules());
  await enforcer.addNamedDomainMatchingFunc("g", (asked, given) => given === "*" || given === asked);
  const denials = rules.filter((rule) => rule[effect] === "deny");
  const allowances = rules.filter((rule) => rule[effect] === "allow");
  await enforcer.addPolicies([...denials, ...allowances.reverse()]);
  const own = [...ownRoles].flatMap(([subject, roles]) => roles.map((role) => [subject, role, "*"]));
  const known = new Set(assignments.map(String));
  await enforcer.addGroupingPolicies([...assignments, ...own.filter((row) => !known.has(String(row)))]);
  return enforcer;
}

/** What stock Casbin makes of a policy: one enforcer that decides, and one for each line that obliges, which it denies by. */
async function stockDecide(policy: RandomPolicy) {
  const verdicts = await stockEnforcer(policy.rules, policy);
  const obliging = await Promise.all(
    policy.rules
      .filter((rule) => rule[effect] !== "allow" && rule[effect] !== "deny")
      .map(async (rule) => ({ rule, stock: await stockEnforcer([rule.with(effect, "deny")], policy) })),
  );
  return (request: DecisionRequest) => {
    const { organization, subject, relation, resource, action, scope } = request;
    const asked = [organization, subject, relation, resource, action, scope, factsOf(policy, request)];
    const [isAllowed, row] = verdicts.enforceExSync(...asked);
    if (!isAllowed) return { effect: "deny", rule: row[0] ?? defaultDeny, obligations: [] };
    const obliged = obliging.filter(({ stock }) => stock.enforceExSync(...asked)[1].length > 0);
    const approval = obliged.find(({ rule }) => rule[effect] === "needs_approval");
    return approval === undefined
      ? { effect: "allow", rule: row[0], obligations: obliged.map(({ rule }) => rule[0]) }
      : { effect: "needs_approval", rule: approval.rule[0], obligations: [] };
  };
}

/** All that is known of a request, as the policy's rows and the request tell it: the nearer outweighs the other. */
function factsOf(
  { entities }: RandomPolicy,
  { organization, subject, resource, attributes }: DecisionRequest,
) {
  const told: Record<string, unknown> = { ...attributes };
  for (const domain of ["*", organization]) {
    for (const [name, of, json = ""] of entities) {
      if (of !== domain) continue;
      for (const [key, value] of Object.entries(JSON.parse(json))) {
        if (name === subject) told[`subject.${key}`] = value;
        if (name === resource) told[`resource.${key}`] = value;
      }
    }
  }
  return told;
}

test("decides as stock Casbin does, by the same rule and with the same obligations, in 120,000 random cases", async () => {
  const random = seededRandom(20261123);
  const tally = { allow: 0, deny: 0, needs_approval: 0, unmatched: 0, obliged: 0 };
  for (let turn = 0; turn < policies; turn++) {
    const policy = randomPolicy(random);
    const snapshot = await loadPolicy({ model, policy: policyText(policy), issuer: "https://id.example" });
    const stock = await stockDecide(policy);
    for (let ask = 0; ask < requestsPerPolicy; ask++) {
      const request = randomRequest(random, policy);
      const decision = decide(snapshot, request);
      const { rule, obligations } = decision;
      const decided = { effect: decision.effect, rule, obligations: obligations.map((one) => one.rule) };
      const expected = stock(request);
      if (!isDeepStrictEqual(decided, expected)) {
        expect.fail(`${JSON.stringify({ request, expected, decided })}\n${policyText(policy)}`);
      }
      tally[rule === defaultDeny ? "unmatched" : decision.effect]++;
      if (obligations.length > 0) tally.obliged++;
    }
  }
  // Cases that hardly ever match would prove nothing.
  const cases = policies * requestsPerPolicy;
  expect(tally.allow).toBeGreaterThan(cases / 10);
  expect(tally.deny).toBeGreaterThan(cases / 20);
  expect(tally.unmatched).toBeGreaterThan(cases / 10);
  expect(tally.needs_approval).toBeGreaterThan(cases / 100);
  expect(tally.obliged).toBeGreaterThan(cases / 100);
});
