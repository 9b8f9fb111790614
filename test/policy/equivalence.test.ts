import { type Enforcer, newEnforcer, newModelFromString } from "casbin";
import { expect, test } from "vitest";
import { defaultDeny } from "../../src/domain/decision.ts";
import { decide } from "../../src/policy/decide.ts";
import { covers } from "../../src/policy/pattern.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { policyText, type RandomPolicy, randomPolicy, randomRequest, seededRandom } from "./random-policy.ts";

const policies = 2_000;
const requestsPerPolicy = 60;
const { model } = await readShippedPolicy();

/**
 * An ordinary enforcer over the whole policy: Casbin's own role manager and its own walk over every rule. A subject's
 * own roles are assignments like others to it. Denials stand first and allowances backwards, so that the rule it names
 * is the one that decide() promises to name: the first in the policy.
 */
async function stockEnforcer({ rules, assignments, ownRoles }: RandomPolicy): Promise<Enforcer> {
  const enforcer = await newEnforcer(newModelFromString(model));
  await enforcer.addFunction("covers", covers);
  await enforcer.addNamedDomainMatchingFunc("g", (asked, given) => given === "*" || given === asked);
  const denials = rules.filter((rule) => rule[7] === "deny");
  const allowances = rules.filter((rule) => rule[7] === "allow");
  await enforcer.addPolicies([...denials, ...allowances.reverse()]);
  const own = [...ownRoles].flatMap(([subject, roles]) => roles.map((role) => [subject, role, "*"]));
  const known = new Set(assignments.map(String));
  await enforcer.addGroupingPolicies([...assignments, ...own.filter((row) => !known.has(String(row)))]);
  return enforcer;
}

test("decides as stock Casbin does, by the same rule, in 120,000 random cases", async () => {
  const random = seededRandom(20261123);
  const tally = { allow: 0, deny: 0, needs_approval: 0, unmatched: 0 };
  for (let turn = 0; turn < policies; turn++) {
    const policy = randomPolicy(random);
    const snapshot = await loadPolicy({ model, policy: policyText(policy), issuer: "https://id.example" });
    const stock = await stockEnforcer(policy);
    for (let ask = 0; ask < requestsPerPolicy; ask++) {
      const request = randomRequest(random, policy);
      const { effect, rule } = decide(snapshot, request);
      const { organization, subject, relation, resource, action, scope } = request;
      const [isAllowed, row] = await stock.enforceEx(
        organization,
        subject,
        relation,
        resource,
        action,
        scope,
      );
      const expected = { effect: isAllowed ? "allow" : "deny", rule: row[0] ?? defaultDeny };
      if (effect !== expected.effect || rule !== expected.rule) {
        expect.fail(`${JSON.stringify({ request, expected, effect, rule })}\n${policyText(policy)}`);
      }
      tally[rule === defaultDeny ? "unmatched" : effect]++;
    }
  }
  // Cases that hardly ever match would prove nothing.
  const cases = policies * requestsPerPolicy;
  expect(tally.allow).toBeGreaterThan(cases / 10);
  expect(tally.deny).toBeGreaterThan(cases / 20);
  expect(tally.unmatched).toBeGreaterThan(cases / 10);
});
