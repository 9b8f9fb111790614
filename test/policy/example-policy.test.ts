import { newId, parseOrganizationId } from "@countersign/sdk/model/ids";
import { describe, expect, test } from "vitest";
import { parseCases } from "../../src/policy/cases.ts";
import { checkPolicy, testPolicy } from "../../src/policy/check.ts";
import { lockOutOf, strangersIn } from "../../src/policy/fitness.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";

const issuer = "http://127.0.0.1:8460";
const { model, policy, cases } = await readShippedPolicy("example");
const snapshot = await loadPolicy({ model, policy, issuer });
const { outcomes, untestedRules } = testPolicy(snapshot, parseCases(cases, issuer));

describe("[POL-051] the example of a policy", () => {
  test.each(outcomes)("$policyCase.name", ({ decision, policyCase: { expected }, isAsExpected }) => {
    expect({ decision, isAsExpected }).toMatchObject({ decision: expected, isAsExpected: true });
  });

  test("has a case for each of its lines, those that oblige among them", () => {
    expect(untestedRules).toEqual([]);
  });

  test("can be brought into force in the first organization as it is", () => {
    expect(checkPolicy({ model, policy, issuer })).toEqual([]);
    const organization = parseOrganizationId("default") ?? expect.unreachable();
    const operator = {
      kind: "operator",
      organization,
      id: newId("operator", 0, new Uint8Array(16)),
    } as const;
    expect(strangersIn(snapshot, organization)).toBeUndefined();
    expect(lockOutOf(snapshot, operator, issuer)).toBeUndefined();
  });
});

describe("[POL-051] a case that names obligations", () => {
  const request =
    "{ organization: default, subject: a, roles: [], relation: none, resource: r:a, action: access.evaluate, scope: s }";
  const lines = [
    "p, all, *, *, *, *, *, *, *, allow, all",
    "p, quiet, *, *, *, *, *, *, *, notify:owner, told",
  ].join("\n");
  const tested = async (expected: string) =>
    testPolicy(
      await loadPolicy({ model, policy: lines, issuer }),
      parseCases(
        `[{ name: a, request: ${request}, expected: { effect: allow, rule: all${expected} } }]`,
        issuer,
      ),
    );

  test.each([
    ["", true, ["quiet"]],
    [", obligations: ['notify:owner']", true, []],
    [", obligations: []", false, []],
    [", obligations: ['notify:other']", false, []],
    [", obligations: [step_up, 'notify:owner']", false, []],
  ])("expects just these: %s", async (expected, isAsExpected, untested) => {
    const {
      outcomes: [outcome],
      untestedRules: left,
    } = await tested(expected);
    expect({ isAsExpected: outcome?.isAsExpected, left }).toEqual({ isAsExpected, left: untested });
  });

  test("spells them as a line does", () => {
    expect(() =>
      parseCases(
        `[{ name: a, request: ${request}, expected: { effect: allow, rule: all, obligations: [redact] } }]`,
        issuer,
      ),
    ).toThrow(/must be an obligation/);
  });
});
