import { describe, expect, test } from "vitest";
import { parseCases } from "../../src/policy/cases.ts";
import { checkPolicy, testPolicy } from "../../src/policy/check.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";

const issuer = "http://127.0.0.1:8460";
const { model, policy, cases } = await readShippedPolicy();
const snapshot = await loadPolicy({ model, policy, issuer });
const { outcomes, untestedRules } = testPolicy(snapshot, parseCases(cases, issuer));

describe("the default policy", () => {
  test.each(outcomes)("$policyCase.name", ({ decision, policyCase }) => {
    expect(decision).toMatchObject(policyCase.expected);
    expect(decision.policy).toBe(snapshot.hash);
    expect(decision.reason).not.toBe("");
  });

  test("has a case for each of its rules", () => {
    expect(untestedRules).toEqual([]);
  });

  test("has nothing wrong with it", () => {
    expect(checkPolicy({ model, policy, issuer })).toEqual([]);
  });
});
