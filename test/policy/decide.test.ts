import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultDeny, malformedRequest } from "../../src/domain/decision.ts";
import { decide } from "../../src/policy/decide.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { baseRequest as base } from "./base-request.ts";

const { model } = await readShippedPolicy();
const load = (...lines: string[]) =>
  loadPolicy({ model, policy: lines.join("\n"), issuer: "https://id.example" });

describe("of several rules that match", () => {
  test("a denial outweighs every allowance, wherever it stands", async () => {
    const allow = "p, yes, *, *, *, *, *, *, *, allow, everything";
    const deny = "p, no, *, *, *, *, *, mail.read, *, deny, no reading";
    for (const lines of [
      [allow, deny],
      [deny, allow],
    ]) {
      expect(decide(await load(...lines), base)).toMatchObject({
        effect: "deny",
        rule: "no",
        reason: "no reading",
      });
    }
  });

  test("the first in the policy is named, of allowances as of denials", async () => {
    const wide = (effect: string) => `p, wide-${effect}, *, *, *, *, *, *, *, ${effect}, wide`;
    const narrow = (effect: string) =>
      `p, narrow-${effect}, acme, agent, delegated, *, *, mail.read, *, ${effect}, narrow`;
    const ruleOf = async (...lines: string[]) => decide(await load(...lines), base).rule;
    expect(await ruleOf(wide("allow"), narrow("allow"))).toBe("wide-allow");
    expect(await ruleOf(narrow("allow"), wide("allow"))).toBe("narrow-allow");
    expect(await ruleOf(wide("deny"), narrow("deny"))).toBe("wide-deny");
    expect(await ruleOf(narrow("deny"), wide("deny"))).toBe("narrow-deny");
  });
});

test("what no rule allows is denied", async () => {
  const snapshot = await load("p, other, other, *, *, *, *, *, *, allow, another organization's");
  expect(decide(snapshot, base)).toEqual({
    effect: "deny",
    rule: defaultDeny,
    reason: "No rule allows it",
    policy: snapshot.hash,
    obligations: [],
  });
});

describe("a role", () => {
  const rule = "p, lead, *, lead, *, *, *, *, *, allow, leads may";

  test("reaches as far as the organization it is given in", async () => {
    const assigned = async (domain: string) =>
      decide(await load(rule, `g, agt_1, lead, ${domain}`), base).effect;
    expect(await assigned("acme")).toBe("allow");
    expect(await assigned("*")).toBe("allow");
    expect(await assigned("other")).toBe("deny");
  });

  test("that a request names passes on the roles it has itself, nine deep", async () => {
    const chain = Array.from({ length: 7 }, (_, index) => `g, role-${index}, role-${index + 1}, acme`);
    const snapshot = await load(rule, "g, agent, role-0, acme", ...chain, "g, role-7, lead, *");
    expect(decide(snapshot, base).rule).toBe("lead");
    expect(decide(snapshot, { ...base, roles: ["user"] }).rule).toBe(defaultDeny);
  });
});

describe("[POL-001] hostile values", () => {
  test.each([
    ["a wildcard", "*"],
    ["a deep wildcard", "**"],
    ["a quoted pattern", "mail.*"],
    ["a space", "a b"],
    ["a line feed", "a\nb"],
    ["a NUL", "a\0b"],
    ["a letter beyond ASCII", "a\u00e9"],
    ["an override of the reading direction", "a\u202eb"],
    ["a lone surrogate", "\ud800"],
    ["nothing", ""],
    ["more than 2048 characters", "x".repeat(2049)],
  ])("%s in any field is denied, even where the policy allows everything", async (_, value) => {
    const snapshot = await load("p, all, *, *, *, *, *, *, *, allow, everything");
    expect(decide(snapshot, base).effect).toBe("allow");
    const fields = ["organization", "subject", "relation", "resource", "action", "scope"] as const;
    for (const field of fields) {
      expect(decide(snapshot, { ...base, [field]: value })).toMatchObject({
        effect: "deny",
        rule: malformedRequest,
      });
    }
    expect(decide(snapshot, { ...base, roles: ["agent", value] })).toMatchObject({
      rule: malformedRequest,
    });
  });

  test("never match what they only look like: commas, quotes, wildcards, other letters, prototype names", async () => {
    const snapshot = await load(
      'p, exact, acme, "agt_1,acme", delegated, https://mail.example/a, token.exchange, "mail,read", *, allow, exact',
      "p, wild, acme, agent, delegated, https://mail.example/in/*, token.exchange, mail.*, *, allow, wild",
      "g, agt_2, agent, acme",
    );
    const hostile = fc.oneof(
      fc.string(),
      fc.string({ unit: "binary" }),
      fc.constantFrom(
        "__proto__",
        "constructor",
        "agt_1",
        "acme",
        "*",
        "mail,read",
        "mail.*",
        "mail.**",
        "p",
        "g",
      ),
    );
    const part = fc.oneof(
      { arbitrary: hostile, weight: 1 },
      { arbitrary: fc.constant(undefined), weight: 3 },
    );
    const exact = {
      subject: "agt_1,acme",
      roles: [],
      resource: "https://mail.example/a",
      scope: "mail,read",
    };
    const wild = { subject: "agt_2", roles: [], resource: "https://mail.example/in/b", scope: "mail.read" };
    expect(decide(snapshot, { ...base, ...exact }).rule).toBe("exact");
    expect(decide(snapshot, { ...base, ...wild }).rule).toBe("wild");
    fc.assert(
      fc.property(fc.constantFrom(exact, wild), part, part, part, (start, subject, resource, scope) => {
        const request = {
          ...base,
          ...start,
          subject: subject ?? start.subject,
          resource: resource ?? start.resource,
          scope: scope ?? start.scope,
        };
        const isExact =
          [request.subject, request.resource, request.scope].join(" ") ===
          "agt_1,acme https://mail.example/a mail,read";
        const isWild =
          request.subject === "agt_2" &&
          request.resource === "https://mail.example/in/b" &&
          /^mail\.[!-~]+$/.test(request.scope) &&
          !/[*?#%\\.:/]/.test(request.scope.slice(5));
        return (decide(snapshot, request).effect === "allow") === (isExact || isWild);
      }),
      { numRuns: 20_000 },
    );
  });

  test("any rule whose fields need quotes is matched by exactly its own values", async () => {
    const name = fc.string({
      unit: fc.constantFrom(",", '"', "'", "a", "#", ";", "(", ")", "=", "r", "."),
      minLength: 1,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(name, name, async (sub, other) => {
        const snapshot = await load(
          `p, one, acme, "${sub.replaceAll('"', '""')}", *, *, *, *, *, allow, one`,
        );
        const asked = (subject: string) =>
          decide(snapshot, { ...base, subject, roles: [] }).effect === "allow";
        return asked(sub) && asked(other) === (other === sub);
      }),
      { numRuns: 500 },
    );
  });
});
