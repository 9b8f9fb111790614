import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { checkPolicy } from "../../src/policy/check.ts";
import { decide } from "../../src/policy/decide.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { rulesIn } from "../../src/policy/rule-index.ts";
import { loadPolicy, PolicyRefused } from "../../src/policy/snapshot.ts";
import { baseRequest } from "./base-request.ts";

const issuer = "https://id.example";
const { model } = await readShippedPolicy();
const good = "p, good, *, agent, delegated, *, token.exchange, mail.read, *, allow, it is good";
const rule = (
  change: Partial<
    Record<"id" | "dom" | "sub" | "rel" | "obj" | "act" | "scope" | "when" | "eft" | "reason", string>
  >,
) => {
  const { id, dom, sub, rel, obj, act, scope, when, eft, reason } = {
    id: "bad",
    dom: "acme",
    sub: "agent",
    rel: "delegated",
    obj: "https://mail.example",
    act: "token.exchange",
    scope: "mail.read",
    when: "*",
    eft: "allow",
    reason: "because",
    ...change,
  };
  return ["p", id, dom, sub, rel, obj, act, scope, when, eft, reason].join(", ");
};
const chain = (length: number) =>
  Array.from({ length }, (_, index) => `g, role-${index}, role-${index + 1}, *`).join("\n");

describe("[POL-001] a policy is refused, naming line 3 and the reason, for", () => {
  test.each([
    ["an unknown kind of row", "q, alice, admin, acme", /neither p, g, e nor m/],
    [
      "a field too few",
      "p, bad, *, agent, delegated, *, token.exchange, mail.read, *, allow",
      /10 fields, not 9/,
    ],
    ["a field too many", `${rule({})}, more`, /10 fields, not 11/],
    ["a role assignment without a domain", "g, alice, admin", /3 fields, not 2/],
    ["a comma that is not quoted", rule({ reason: "yes, of course" }), /10 fields, not 11/],
    ["a quote that does not close", rule({ reason: '"because' }), /quotes/],
    ["text beside a quoted field", rule({ reason: '"be" cause' }), /quotes/],
    ["a rule id that another line has", rule({ id: "good" }), /line 2 has the same rule id/],
    ["a rule id with a capital", rule({ id: "Bad" }), /rule's id/],
    ["a rule id that means no line", rule({ id: "default-deny" }), /names a decision/],
    [
      "conditions that another line has",
      good.replace("good", "again").replace("allow", "deny"),
      /same conditions/,
    ],
    ["an effect that is none", rule({ eft: "Allow" }), /eft/],
    ["an effect with a capital", rule({ eft: "Deny" }), /eft/],
    ["an obligation without what it obliges to", rule({ eft: "redact:" }), /obligation/],
    ["a rate of nothing", rule({ eft: "rate:0/60s" }), /obligation/],
    ["a condition that is none", rule({ when: "now" }), /when/],
    ["a condition on what no request tells", rule({ when: "amount<5" }), /when/],
    ["two equals signs", rule({ when: "action.amount==5" }), /when/],
    ["a bound that is no number", rule({ when: "action.amount<ten" }), /when/],
    ["an address where a network stands", rule({ when: "context.address in 10.0.0.1" }), /when/],
    ["a condition that ends open", rule({ when: "action.amount<5 & " }), /when/],
    ["a wildcard for every entity of a type without a path", rule({ obj: "record:*x" }), /obj/],
    ["a path that climbs", rule({ obj: "file:/a/../b" }), /obj/],
    ["an entity without an id", "e, record:, *, {}", /entity/],
    ["an entity of a reserved type", "e, kind:manager, *, {}", /entity/],
    ["an entity with a wildcard", "e, record:*, *, {}", /entity/],
    ["attributes that are no JSON", "e, record:a, *, status", /attributes/],
    ["attributes within attributes", 'e, record:a, *, "{""a"":{}}"', /attributes/],
    ["an organization that none can be", rule({ dom: "Acme" }), /dom/],
    ["the log of the installation as an organization", rule({ dom: "system" }), /dom/],
    ["a wildcard within a subject", rule({ sub: "agt_*" }), /sub/],
    ["a relation that is none", rule({ rel: "delegate" }), /rel must/],
    ["a wildcard within a relation", rule({ rel: "d*" }), /rel must/],
    ["a resource that is no canonical audience", rule({ obj: "https://Mail.example" }), /obj/],
    ["a resource that is no URI", rule({ obj: "mail" }), /obj/],
    ["a wildcard for every host", rule({ obj: "https://*" }), /obj/],
    ["a wildcard for every host at any depth", rule({ obj: "https://**" }), /obj/],
    ["a wildcard within a host", rule({ obj: "https://*.example" }), /obj/],
    ["a wildcard in a path's middle", rule({ obj: "https://mail.example/*/a" }), /obj/],
    ["a wildcard behind a query", rule({ obj: "https://mail.example/?a=b/*" }), /obj/],
    ["a placeholder that does not exist", rule({ obj: "{host}/v1" }), /obj/],
    ["an action that is none", rule({ act: "token.isue" }), /act/],
    ["a wildcard over no action", rule({ act: "tokens.*" }), /act/],
    ["a scope of two tokens", rule({ scope: "mail.read mail.send" }), /scope/],
    ["a wildcard within a scope's segment", rule({ scope: "mail.r*" }), /scope/],
    ["a letter beyond ASCII in a scope", rule({ scope: "m\u0430il.read" }), /scope/],
    ["a rule without a reason", rule({ reason: "" }), /reason/],
    ["a NUL", rule({ reason: "be\0cause" }), /control character/],
    ["a tab", rule({ reason: "be\tcause" }), /control character/],
    ["a carriage return within a line", rule({ reason: "be\rcause" }), /control character/],
    ["an override of the reading direction", rule({ reason: "be\u202ecause" }), /invisible/],
    ["a lone surrogate", rule({ reason: "be\ud800cause" }), /invisible/],
    ["a line beyond all bounds", rule({ reason: "x".repeat(9000) }), /8192 characters/],
    ["a wildcard as a user", "g, *, admin, acme", /wildcard/],
    ["a wildcard as a role", "g, alice, *, acme", /wildcard/],
    ["roles in a circle", "g, a, b, acme\ng, b, a, other", /circle/],
    ["a role within itself", "g, a, a, *", /circle/],
    ["roles more than nine deep", chain(11), /nine deep/],
  ])("%s", async (_, line, reason) => {
    const policy = ["# a comment", good, line].join("\n");
    expect(checkPolicy({ model, policy, issuer })).toContainEqual({
      line: 3,
      reason: expect.stringMatching(reason),
    });
    await expect(loadPolicy({ model, policy, issuer })).rejects.toThrow(reason);
  });

  test("a role assignment that another line has", () => {
    const policy = [good, "g, alice, admin, acme", "g, alice, admin, acme"].join("\n");
    expect(checkPolicy({ model, policy, issuer })).toEqual([
      { line: 3, reason: "line 2 assigns the same role" },
    ]);
  });
});

describe("a policy is refused as a whole", () => {
  test.each([
    ["when it is empty", ""],
    ["when it has comments only", "# nothing\n\n"],
    ["when it has roles only", "g, alice, admin, acme"],
  ])("%s", async (_, policy) => {
    expect(checkPolicy({ model, policy, issuer })).toEqual([{ line: 0, reason: "it has no rule" }]);
    await expect(loadPolicy({ model, policy, issuer })).rejects.toThrow(PolicyRefused);
  });

  test.each([
    ["allows overriding denials", model.replace(" && !some(where (p.eft == deny))", "")],
    [
      "matches by a regular expression",
      model.replace('covers(p.obj, r.obj, "/")', "regexMatch(r.obj, p.obj)"),
    ],
    ["has another condition", model.replace('(p.rel == "*" || p.rel == r.rel) && ', "")],
    ["has a second matcher", `${model}\nm2 = true`],
    ["has no matcher", model.replace(/m = .*/, "")],
    ["is empty", ""],
  ])("when its model %s", async (_, other) => {
    expect(checkPolicy({ model: other, policy: good, issuer })).toHaveLength(1);
    await expect(loadPolicy({ model: other, policy: good, issuer })).rejects.toThrow(/the model/);
  });

  test("when it mixes wildcards in more ways than lookups are bounded to", () => {
    const depths = Array.from({ length: 16 }, (_, depth) => "/d".repeat(depth));
    const lines = depths.flatMap((path, one) =>
      depths.flatMap((_, other) =>
        ["*", "acme", "agent"].map((who, third) =>
          rule({
            id: `r-${one}-${other}-${third}`,
            obj: `https://mail.example${path}/*`,
            scope: `${"s.".repeat(other + 1)}*`,
            ...(who === "agent" ? { sub: "*" } : { dom: who }),
          }),
        ),
      ),
    );
    expect(checkPolicy({ model, policy: lines.join("\n"), issuer })).toEqual([
      { line: 0, reason: expect.stringMatching(/512 ways/) },
    ]);
  });

  test("with all of its problems, in the order of its lines", () => {
    const policy = [good, "x", rule({ eft: "maybe", rel: "near" }), "g, *, a, acme"].join("\n");
    expect(checkPolicy({ model, policy, issuer }).map(({ line }) => line)).toEqual([2, 3, 3, 4]);
  });
});

describe("a policy's hash", () => {
  const hashOf = async (policy: string, at = issuer) =>
    (await loadPolicy({ model, policy, issuer: at })).hash;

  test("is the SHA-256 of its canonical text", async () => {
    const { hash, text } = await loadPolicy({ model, policy: good, issuer });
    expect(hash).toBe(createHash("sha256").update(text).digest("base64url"));
    expect(JSON.parse(text)).toMatchObject({
      rules: [
        ["good", "*", "agent", "delegated", "*", "token.exchange", "mail.read", "*", "allow", "it is good"],
      ],
      roles: [],
    });
  });

  test("does not change by comments, blank lines, spaces, quotes or line ends", async () => {
    const dressed = `# why\r\n\r\n${good.replaceAll(", ", "  ,  ").replace("it is good", '"it is good"')}\r\n`;
    expect(await hashOf(dressed)).toBe(await hashOf(good));
  });

  test("changes with any field, any role, the order of rules, and the issuer where it is named", async () => {
    const other = rule({ id: "other" });
    const named = rule({ obj: "{issuer}/v1" });
    const texts = [
      good,
      good.replace("it is good", "it is better"),
      `${good}\n${other}`,
      `${other}\n${good}`,
    ];
    const hashes = await Promise.all(
      [...texts, `${good}\ng, alice, agent, acme`, named].map((text) => hashOf(text)),
    );
    expect(new Set([...hashes, await hashOf(named, "https://other.example")]).size).toBe(7);
  });
});

test("quoted fields keep their commas, quotes and spaces", async () => {
  const policy = rule({ reason: '" a ""good"" one, at last "' });
  const snapshot = await loadPolicy({ model, policy, issuer });
  expect([...rulesIn(snapshot.rules)][0]?.at(-1)).toBe(' a "good" one, at last ');
});

test("a snapshot decides on unchanged while another is loaded and used", async () => {
  const denying = await loadPolicy({ model, policy: rule({ id: "no", eft: "deny" }), issuer });
  const allowing = await loadPolicy({ model, policy: rule({ id: "yes" }), issuer });
  expect([denying, allowing, denying].map((snapshot) => decide(snapshot, baseRequest).rule)).toEqual([
    "no",
    "yes",
    "no",
  ]);
});
