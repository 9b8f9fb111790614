import { hash } from "node:crypto";
import type { LedgerDecision } from "@countersign/sdk/contract/ledger-entry";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { parseOrganizationId } from "@countersign/sdk/model/ids";
import { describe, expect, test } from "vitest";
import { createReplay } from "../../src/policy/replay.ts";
import { baseRequest as base } from "./base-request.ts";
import { type Made, make, policyOf } from "./recorded.ts";

const sha256 = (text: string) => hash("sha256", text, "base64url");
const anything = "p, anything, *, *, *, *, *, *, *, allow, everything";
const small = "p, small, *, *, *, *, *, *, action.amount<=100, allow, small sums";
const large = "p, large, *, *, *, *, *, *, action.amount>50, needs_approval, large sums";
const noSending = "p, no-sending, *, *, *, *, *, mail.send, *, deny, nothing leaves";
const redact = "p, no-body, *, agent, *, *, *, mail.*, *, redact:body, bodies are private";
const rate = "p, slowly, *, *, *, *, *, mail.read, *, rate:10/60s, not too fast";
const of = (amount: number) => ({ ...base, attributes: { "action.amount": amount } });

const recordedOf = ({ decision, input }: Pick<Made, "decision" | "input">) => ({
  organization: "acme",
  decision,
  input,
});

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

describe("[POL-031] nothing but what was decided agrees:", () => {
  const replayed = async (change: (made: Made) => Partial<ReturnType<typeof recordedOf>>) => {
    const [policy, other] = await Promise.all([policyOf(anything, redact), policyOf(noSending)]);
    const { takePolicy, replay } = createReplay();
    for (const { text } of [policy, other]) takePolicy(text);
    const made = make(policy, base);
    return replay({ ...recordedOf(made), ...change(made) });
  };
  const decided = (
    change: Partial<Omit<LedgerDecision, "obligations">> & { readonly obligations?: undefined },
  ) => replayed(({ decision }) => ({ decision: { ...decision, ...change } }));
  /** An input that the entry was made for, whatever it says. */
  const asked = (text: (input: string) => string) =>
    replayed(({ decision, input }) => ({
      decision: { ...decision, input: sha256(text(input)) },
      input: text(input),
    }));

  test.each([
    ["another effect", { effect: "deny" }],
    ["another rule", { rule: "no-body" }],
    ["an obligation that was left out", { obligations: undefined }],
  ] as const)("%s", async (_, change) => {
    const got = {
      effect: "allow",
      rule: "anything",
      obligations: [{ kind: "redact", field: "body", rule: "no-body" }],
    };
    const { obligations, ...rest } = { ...got, ...change };
    const expected = { ...rest, ...(obligations && { obligations }) };
    expect(await decided(change)).toEqual({ is: "disagreed", expected, got });
  });

  test("another policy", async () => {
    const { hash: policy } = await policyOf(noSending);
    expect(await decided({ policy })).toMatchObject({ is: "disagreed", got: { rule: "default-deny" } });
  });

  test("a policy that is not there, or whose text was changed", async () => {
    const { takePolicy, replay } = createReplay();
    const policy = await policyOf(anything);
    takePolicy(policy.text.replace("everything", "Everything"));
    expect(await replay(recordedOf(make(policy, base)))).toEqual({
      is: "unreadable",
      why: "the policy that it cites is not there",
    });
  });

  test("an input whose text was changed", async () => {
    const changed = await replayed(({ input }) => ({ input: input.replace("mail.read", "mail.send") }));
    expect(changed).toEqual({ is: "unreadable", why: "its input is another text" });
  });

  test("an input of another organization", async () => {
    const globex = parseOrganizationId("globex");
    if (globex === undefined) throw new Error("globex must be an organization's id");
    const policy = await policyOf(anything);
    const { takePolicy, replay } = createReplay();
    takePolicy(policy.text);
    const made = make(policy, { ...base, organization: globex });
    expect(await replay(recordedOf(made))).toEqual({
      is: "unreadable",
      why: "its input is about another organization",
    });
  });

  test.each<[string, (input: string) => string]>([
    ["no JSON", () => "{"],
    ["without a question", (input) => input.replace(/"requests":\[.*\]/, '"requests":[]')],
    ["with a member that this version does not know", (input) => input.replace('"salt"', '"more":1,"salt"')],
    [
      "with an action that this version does not know",
      (input) => input.replace("token.exchange", "token.melt"),
    ],
    ["that two readers read in two ways", (input) => input.replace('{"call"', '{"call":{},"call"')],
  ])("an input %s", async (_, text) => {
    expect(await asked(text)).toMatchObject({ is: "unreadable", why: expect.stringMatching(/input/) });
  });

  test("a decision that says more than this version knows", async () => {
    const more = await replayed(({ decision }) => ({ decision: { ...decision, mood: "good" } }));
    expect(more).toMatchObject({ is: "unreadable" });
  });

  test("a policy that no version of ours wrote", async () => {
    const { takePolicy, replay } = createReplay();
    const made = make(await policyOf(anything), base);
    for (const text of ["p, all", '{"model":{"p":"who, what"},"rules":[],"roles":[]}']) {
      takePolicy(text);
      const decision = { ...made.decision, policy: sha256(text) };
      expect(await replay(recordedOf({ ...made, decision }))).toMatchObject({ is: "unreadable" });
    }
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

  test("and is denied where they are more than can be told", async () => {
    const lines = (count: number) =>
      Array.from({ length: count }, (_, i) => `p, tell-${i}, *, *, *, *, *, *, *, notify:n${i}, tell ${i}`);
    expect(make(await policyOf(anything, ...lines(32)), base).decision.obligations).toHaveLength(32);
    const { decision } = make(await policyOf(anything, ...lines(33)), base);
    expect(decision).toMatchObject({ effect: "deny", rule: "too-many-obligations" });
  });
});
