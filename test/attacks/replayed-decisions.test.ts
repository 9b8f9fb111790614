import { hash } from "node:crypto";
import type { LedgerDecision } from "@countersign/sdk/contract/ledger-entry";
import { parseOrganizationId } from "@countersign/sdk/model/ids";
import { verifyExport } from "@countersign/sdk/tlog/export";
import { describe, expect, onTestFinished, test } from "vitest";
import { createReplay } from "../../src/policy/replay.ts";
import { type EntryRange, startLogReplay } from "../../src/policy/replay-log.ts";
import { acmeLog, entryBody, openTestLedger, stream } from "../ledger/ledger-fixture.ts";
import { baseRequest as base } from "../policy/base-request.ts";
import { type Made, make, policyOf, recordedOf } from "../policy/recorded.ts";

const sha256 = (text: string) => hash("sha256", text, "base64url");
const anything = "p, anything, *, *, *, *, *, *, *, allow, everything";
const noSending = "p, no-sending, *, *, *, *, *, mail.send, *, deny, nothing leaves";
const redact = "p, no-body, *, agent, *, *, *, mail.*, *, redact:body, bodies are private";

// Who holds the database, or makes an export: whether what they wrote passes for what was decided.
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

test("[POL-032] more obligations than can be told are a no", async () => {
  const lines = (count: number) =>
    Array.from({ length: count }, (_, i) => `p, tell-${i}, *, *, *, *, *, *, *, notify:n${i}, tell ${i}`);
  expect(make(await policyOf(anything, ...lines(32)), base).decision.obligations).toHaveLength(32);
  const { decision } = make(await policyOf(anything, ...lines(33)), base);
  expect(decision).toMatchObject({ effect: "deny", rule: "too-many-obligations" });
});

test("[POL-031] the first entry of a log that says what was not decided is named, though its log is as it was signed", async () => {
  const ledger = await openTestLedger();
  onTestFinished(() => ledger.close());
  const policy = await policyOf(noSending);
  const text = {
    into: "policy_version",
    row: { hash: policy.hash, text: policy.text, created_at: new Date() },
  } as const;
  for (const effect of ["deny", "allow", "allow"] as const) {
    const { decision, write } = make(policy, base);
    const entry = { ...entryBody(0), decision: { ...decision, effect } };
    await ledger.append(acmeLog, { entry, writes: [text, write] });
  }
  await ledger.grow(1);
  const vkeys = (ledger.keys.get(acmeLog) ?? []).map(({ vkey }) => vkey);
  const lines = await ledger.exportLines();
  const replayOf = async (range: EntryRange) => {
    const { take, findings } = startLogReplay(range);
    const verdict = await verifyExport(stream(lines), { vkeys, onRecord: take });
    expect(verdict).toMatchObject({ ok: true, keys: "given" });
    return findings();
  };
  const said = { rule: "default-deny" };
  expect(await replayOf({ from: 0, to: 100 })).toEqual({
    decisions: 3,
    agreed: 1,
    disagreed: 2,
    unreadable: 0,
    erased: 0,
    first: {
      is: "disagreed",
      index: 1,
      expected: { ...said, effect: "allow" },
      got: { ...said, effect: "deny" },
    },
  });
  expect(await replayOf({ from: 0, to: 0 })).toMatchObject({ decisions: 1, agreed: 1 });
  expect(await replayOf({ from: 2, to: 2 })).toMatchObject({ decisions: 1, first: { index: 2 } });
});
