import { describe, expect, test } from "vitest";
import type { Attributes } from "../../src/domain/attributes.ts";
import { holdsOf, parseCondition } from "../../src/policy/condition.ts";
import { decide } from "../../src/policy/decide.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { baseRequest as base } from "./base-request.ts";

const { model } = await readShippedPolicy();
const anything = "p, anything, *, *, *, *, *, *, *, allow, everything";
const decideBy = async (lines: readonly string[], attributes?: Attributes) =>
  decide(await loadPolicy({ model, policy: lines.join("\n"), issuer: "https://id.example" }), {
    ...base,
    attributes,
  });

describe("[POL-002] a condition is true, false, or can't be told:", () => {
  test.each<[when: string, attributes: Attributes, holds: boolean | undefined]>([
    ["*", {}, true],
    ["action.amount<=100", { "action.amount": 100 }, true],
    ["action.amount<100", { "action.amount": 100 }, false],
    ["action.amount > 99.5", { "action.amount": 100 }, true],
    ["action.amount>=100", { "action.amount": "100" }, undefined],
    ["action.amount<100", {}, undefined],
    ["action.dry=true", { "action.dry": true }, true],
    ["action.dry=true", { "action.dry": false }, false],
    ["resource.status=active|archived", { "resource.status": "archived" }, true],
    ["resource.status!=active|archived", { "resource.status": "archived" }, false],
    ["resource.status=archived", { "resource.status": "archived " }, undefined],
    ["resource.status!=archived", { "resource.status": "\u0430rchived" }, undefined],
    ["subject.groups=ops", { "subject.groups": ["dev", "ops"] }, true],
    ["subject.groups!=ops", { "subject.groups": [] }, true],
    ["context.address in 10.0.0.0/8|fd00::/8", { "context.address": "fd00::1" }, true],
    ["context.address in 10.0.0.0/8", { "context.address": "::ffff:10.0.0.1" }, undefined],
    ["context.address in 10.0.0.0/8", { "context.address": "010.0.0.1" }, undefined],
    ["action.amount<5 & resource.status=archived", { "resource.status": "active" }, false],
    ["action.amount<5 & resource.status=archived", { "resource.status": "archived" }, undefined],
    ["context.toString=x", {}, undefined],
  ])("%s of %j: %j", (when, attributes, holds) => {
    const condition = parseCondition(when);
    expect(condition).toBeDefined();
    expect(holdsOf(condition ?? [], attributes)).toBe(holds);
  });
});

describe("[POL-003] what can't be told is to nobody's advantage:", () => {
  const small = "p, small, *, *, *, *, *, *, action.amount<=100, allow, small sums";
  const tainted =
    "p, tainted, *, *, *, *, *, mail.read, action.provenance!=trusted, deny, content from outside moves nothing";

  test("a line that allows needs its condition to be met", async () => {
    expect((await decideBy([small], { "action.amount": 100 })).effect).toBe("allow");
    expect((await decideBy([small], { "action.amount": 101 })).effect).toBe("deny");
    expect((await decideBy([small])).effect).toBe("deny");
  });

  test("a line that denies applies unless its condition is known to be false", async () => {
    const lines = [anything, tainted];
    expect((await decideBy(lines, { "action.provenance": "trusted" })).effect).toBe("allow");
    expect(await decideBy(lines, { "action.provenance": "untrusted" })).toMatchObject({ rule: "tainted" });
    expect(await decideBy(lines)).toMatchObject({ effect: "deny", rule: "tainted" });
    expect(await decideBy(lines, { "action.provenance": "trusted\u200b" })).toMatchObject({
      rule: "tainted",
    });
  });

  test("a line that obliges applies unless its condition is known to be false", async () => {
    const lines = [anything, "p, large, *, *, *, *, *, *, action.amount>100, needs_approval, large sums"];
    expect((await decideBy(lines, { "action.amount": 100 })).effect).toBe("allow");
    expect(await decideBy(lines, { "action.amount": 101 })).toMatchObject({
      effect: "needs_approval",
      rule: "large",
      reason: "large sums",
    });
    expect((await decideBy(lines)).effect).toBe("needs_approval");
  });
});

test("[POL-004] what the policy says of an entity outweighs what a request says of it", async () => {
  const lines = [
    anything,
    "p, archived, *, *, *, *, *, *, resource.status=archived, deny, archives are closed",
    'e, https://mail.example, *, "{""status"":""archived""}"',
  ];
  expect(await decideBy(lines, { "resource.status": "active" })).toMatchObject({ rule: "archived" });
  const here = [...lines, 'e, https://mail.example, acme, "{""status"":""active""}"'];
  expect(await decideBy(here, { "resource.status": "archived" })).toMatchObject({ effect: "allow" });
});

describe("[POL-005] what is allowed comes with the obligations", () => {
  const redact = "p, no-body, *, agent, *, *, *, mail.*, *, redact:body, bodies are private";
  const rate = "p, slowly, acme, *, *, *, *, *, *, rate:10/60s, not too fast";

  test("of every line that matches", async () => {
    expect(await decideBy([redact, anything, rate])).toMatchObject({
      effect: "allow",
      rule: "anything",
      obligations: [
        { kind: "redact", field: "body", rule: "no-body" },
        { kind: "rate", times: 10, perSeconds: 60, rule: "slowly" },
      ],
    });
  });

  test("and of no line that does not", async () => {
    const others = [redact.replace("mail.*", "files.*"), rate.replace("acme", "globex")];
    expect(await decideBy([anything, ...others])).toMatchObject({ effect: "allow", obligations: [] });
  });

  test("a denial comes with none, and no obligation allows anything", async () => {
    const closed = "p, closed, acme, *, *, *, *, *, *, deny, closed";
    expect(await decideBy([redact, anything, closed])).toMatchObject({ rule: "closed", obligations: [] });
    expect(await decideBy([redact, rate])).toMatchObject({ effect: "deny", obligations: [] });
  });
});
