import { hash } from "node:crypto";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { describe, expect, test } from "vitest";
import { createReplay } from "../../src/policy/replay.ts";
import { baseRequest as base } from "./base-request.ts";
import { make, policyOf, recordedOf } from "./recorded.ts";

const sha256 = (text: string) => hash("sha256", text, "base64url");
const anything = "p, anything, *, *, *, *, *, *, *, allow, everything";
const small = "p, small, *, *, *, *, *, *, action.amount<=100, allow, small sums";
const large = "p, large, *, *, *, *, *, *, action.amount>50, needs_approval, large sums";
const noSending = "p, no-sending, *, *, *, *, *, mail.send, *, deny, nothing leaves";
const redact = "p, no-body, *, agent, *, *, *, mail.*, *, redact:body, bodies are private";
const rate = "p, slowly, *, *, *, *, *, mail.read, *, rate:10/60s, not too fast";
const of = (amount: number) => ({ ...base, attributes: { "action.amount": amount } });

describe("[POL-030] a recorded decision is made again", () => {
  test("by its own policy, of several, and from its own input", async () => {
    const policies = await Promise.all([
      policyOf(anything),
      policyOf(small, large),
      policyOf(anything, noSending, redact, rate),
      policyOf('e, https://mail.example, acme, "{""risk"":""high""}"', anything, noSending),
      policyOf(noSending),
      policyOf(small, "g, agt_1, team, acme"),
    ]);
    const { takePolicy, replay } = createReplay();
    for (const { text } of policies) takePolicy(text);
    const requests = [[base], [of(10)], [of(60)], [of(101)], [base, { ...base, scope: "mail.send" }]];
    const effects = new Set<string>();
    for (const asked of requests) {
      for (const policy of policies) {
        const made = make(policy, ...asked);
        effects.add(`${made.decision.effect} ${made.decision.obligations?.length ?? 0}`);
        expect(await replay(recordedOf(made))).toEqual({ is: "agreed" });
      }
    }
    expect([...effects].sort()).toEqual(["allow 0", "allow 2", "deny 0", "needs_approval 0"]);
  });

  test("by a policy from before lines had conditions", async () => {
    const text = canonicalJson({
      model: { p: "rule, dom, sub, rel, obj, act, scope, eft, reason" },
      rules: [["old", "*", "agent", "*", "*", "*", "*", "allow", "as it was"]],
      roles: [],
    });
    const { takePolicy, replay } = createReplay();
    takePolicy(text);
    const made = make(await policyOf(anything), base);
    const decision = { ...made.decision, rule: "old", policy: sha256(text) };
    expect(await replay(recordedOf({ ...made, decision }))).toEqual({ is: "agreed" });
  });

  test("and one whose input was erased is told as such", async () => {
    const policy = await policyOf(anything);
    const { takePolicy, replay } = createReplay();
    takePolicy(policy.text);
    expect(await replay({ ...recordedOf(make(policy, base)), input: null })).toEqual({ is: "erased" });
  });
});

describe("[POL-032] what is allowed comes with the obligations of all its scopes", () => {
  const write = { ...base, scope: "mail.write" };

  test("and with each line's once, as the ledger tells them", async () => {
    const { decision } = make(await policyOf(anything, redact, rate), base, write);
    expect(decision.obligations).toEqual([
      { kind: "redact", field: "body", rule: "no-body" },
      { kind: "rate", times: 10, per_seconds: 60, rule: "slowly" },
    ]);
  });

  test("with none where it is denied", async () => {
    const policy = await policyOf(anything, redact, noSending);
    expect(make(policy, base, { ...base, scope: "mail.send" }).decision).not.toHaveProperty("obligations");
  });
});
