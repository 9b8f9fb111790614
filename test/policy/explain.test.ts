import { describe, expect, test } from "vitest";
import type { DecisionRequest } from "../../src/domain/decision.ts";
import { column } from "../../src/policy/check-row.ts";
import { decide } from "../../src/policy/decide.ts";
import { explain } from "../../src/policy/explain.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { rulesIn } from "../../src/policy/rule-index.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { withAll } from "../../src/policy/unmet.ts";
import { baseRequest as base } from "./base-request.ts";
import { policyText, randomPolicy, randomRequest, seededRandom } from "./random-policy.ts";
import { policyOf } from "./recorded.ts";

const anything = "p, anything, *, *, *, *, *, *, *, allow, everything";
const explained = async (lines: readonly string[], change: Partial<DecisionRequest> = {}) =>
  explain(await policyOf(...lines), { ...base, ...change });

describe("[POL-033] of a decision is told", () => {
  test("the rule that allows, and then nothing else", async () => {
    const { decision, ...others } = await explained([anything]);
    expect(decision).toMatchObject({ effect: "allow", rule: "anything" });
    expect(others).toEqual({ against: [], nearest: [] });
  });

  test("which lines deny, and what would be said without them", async () => {
    const lines = [
      anything,
      "p, closed, *, *, *, *, *, mail.*, *, deny, closed",
      "p, tainted, *, *, *, *, *, *, action.provenance!=trusted & action.amount>5, deny, from outside",
      "p, elsewhere, *, *, *, *, *, files.*, *, deny, not this",
    ];
    expect(await explained(lines, { attributes: { "action.amount": 9 } })).toMatchObject({
      decision: { effect: "deny", rule: "closed" },
      against: [
        { rule: "closed", effect: "deny", when: [] },
        {
          rule: "tainted",
          when: [
            { asks: "action.provenance!=trusted", holds: "unknown" },
            { asks: "action.amount>5", has: "9", holds: "yes" },
          ],
        },
      ],
      without: { effect: "allow", rule: "anything" },
      nearest: [],
    });
  });

  test("which line wants an approval", async () => {
    const large = "p, large, *, *, *, *, *, *, action.amount>100, needs_approval, large sums";
    const told = await explained([anything, large], { attributes: { "action.amount": 101 } });
    expect(told).toMatchObject({
      decision: { effect: "needs_approval" },
      against: [
        { rule: "large", effect: "needs_approval", when: [{ asks: "action.amount>100", has: "101" }] },
      ],
      without: { effect: "allow", rule: "anything" },
    });
  });

  test("that a value is no identifier", async () => {
    const { decision, nearest } = await explained([anything], { scope: "mail.*" });
    expect([decision.rule, nearest]).toEqual(["malformed-request", []]);
  });
});

describe("[POL-034] the nearest lines that would allow it", () => {
  test("are at most three, those first that fail by the fewest things, and each thing is told", async () => {
    const lines = [
      "p, far, *, operator, direct, urn:a:b, token.issue, admin, *, allow, far",
      "p, role, *, kind:manager, *, *, *, *, *, allow, role",
      "p, direct, *, agent, direct, *, token.exchange, mail.*, *, allow, direct",
      "p, twice, *, agent, direct, *, token.issue, *, *, allow, twice",
      "p, sum, *, agent, *, *, *, *, action.amount<100, allow, sum",
    ];
    const { nearest } = await explained(lines);
    expect(nearest).toEqual([
      {
        rule: "role",
        reason: "role",
        unmet: [{ of: "subject", asks: "kind:manager", has: "agt_1" }],
        would: { effect: "allow", rule: "role" },
      },
      {
        rule: "direct",
        reason: "direct",
        unmet: [{ of: "relation", asks: "direct", has: "delegated" }],
        would: { effect: "allow", rule: "direct" },
      },
      {
        rule: "sum",
        reason: "sum",
        unmet: [{ of: "condition", asks: "action.amount<100", holds: "unknown" }],
        would: { effect: "allow", rule: "sum" },
      },
    ]);
  });

  test("are told with the denial that stands behind them", async () => {
    const lines = [
      "p, direct, *, agent, direct, *, *, *, *, allow, direct",
      "p, never, *, *, direct, *, *, *, *, deny, never",
    ];
    expect((await explained(lines)).nearest).toMatchObject([
      { rule: "direct", would: { effect: "deny", rule: "never" } },
    ]);
  });

  test("promise nothing of what the policy itself tells otherwise", async () => {
    const lines = [
      "p, active, *, agent, *, *, *, *, resource.status=active, allow, active",
      'e, https://mail.example, acme, "{""status"":""archived""}"',
    ];
    const [suggestion] = (await explained(lines)).nearest;
    expect(suggestion).toMatchObject({
      unmet: [{ asks: "resource.status=active", has: "archived", holds: "no" }],
    });
    expect(suggestion).not.toHaveProperty("would");
  });

  test("keep their promise, whatever the policy and the request are", async () => {
    const { model } = await readShippedPolicy();
    const random = seededRandom(33);
    const seen = { kept: 0, behind: 0, without: 0 };
    for (let i = 0; i < 150; i++) {
      const written = randomPolicy(random);
      const snapshot = await loadPolicy({ model, policy: policyText(written), issuer: "https://id.example" });
      for (let j = 0; j < 20; j++) {
        const request = randomRequest(random, written);
        const { decision, against, without, nearest } = explain(snapshot, request);
        expect(decision).toEqual(decide(snapshot, request));
        expect(nearest.length).toBeLessThanOrEqual(3);
        for (const { rule, unmet, would } of nearest) {
          expect(unmet.length).toBeGreaterThan(0);
          if (would === undefined) continue;
          const changed = decide(snapshot, withAll(request, unmet));
          expect(changed).toMatchObject(would);
          const line = [...rulesIn(snapshot.rules)].find(([id]) => id === would.rule);
          if (would.effect === "allow") seen.kept++;
          else {
            seen.behind++;
            expect(line?.[column.eft]).toBe(would.effect);
          }
          expect(rule).not.toBe("");
        }
        if (without === undefined) continue;
        seen.without++;
        const left = new Set(against.map((one) => one.rule));
        const rules = written.rules.filter(([id = ""]) => !left.has(id));
        if (rules.length === 0) continue;
        const policy = policyText({ ...written, rules });
        const other = await loadPolicy({ model, policy, issuer: "https://id.example" });
        expect(without).toEqual({ ...decide(other, request), policy: snapshot.hash });
      }
    }
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(50);
  });
});
