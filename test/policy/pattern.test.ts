import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { covers, parsePattern, separatorsOf, shapeOf, stemIn } from "../../src/policy/pattern.ts";

describe("a wildcard", () => {
  test.each([
    ["*", "anything"],
    ["https://mail.example/*", "https://mail.example/inbox"],
    ["https://mail.example/**", "https://mail.example/inbox"],
    ["https://mail.example/**", "https://mail.example/inbox/2026/a.b:c"],
    ["urn:files:a/*", "urn:files:a/b"],
  ])("%s covers %s", (pattern, value) => {
    expect(covers(pattern, value, separatorsOf.obj)).toBe(true);
  });

  test.each([
    ["https://mail.example/*", "https://mail.example"],
    ["https://mail.example/*", "https://mail.example/"],
    ["https://mail.example/**", "https://mail.example/"],
    ["https://mail.example/*", "https://mail.example/a/b"],
    ["https://mail.example/**", "https://mail.example/a//b"],
    ["https://mail.example/**", "https://mail.example/a/"],
    ["https://mail.example/*", "https://mail.example.evil/a"],
    ["https://mail.example/*", "https://mail.example@evil"],
    ["https://mail.example/*", "HTTPS://mail.example/a"],
    ["https://mail.example/*", "https://mail.example/."],
    ["https://mail.example/**", "https://mail.example/a/../b"],
    ["https://mail.example/**", "https://mail.example/a./b"],
    ["https://mail.example/*", "https://mail.example/a."],
    ["https://mail.example/**", "https://mail.example/%2e%2e/b"],
    ["https://mail.example/**", "https://mail.example/a%2fb"],
    ["https://mail.example/*", "https://mail.example/a?b=c"],
    ["https://mail.example/*", "https://mail.example/a#b"],
    ["https://mail.example/*", "https://mail.example/a\\b"],
  ])("%s does not cover %s", (pattern, value) => {
    expect(covers(pattern, value, separatorsOf.obj)).toBe(false);
  });

  test("in a scope parts at . : and /, and asks for the very separator it stands behind", () => {
    const inScope = (pattern: string, value: string) => covers(pattern, value, separatorsOf.scope);
    expect(inScope("mail.*", "mail.read")).toBe(true);
    expect(inScope("mail.*", "mail:read")).toBe(false);
    expect(inScope("mail.*", "mail.read:all")).toBe(false);
    expect(inScope("mail.**", "mail.read:all")).toBe(true);
    expect(inScope("mail.*", "mail")).toBe(false);
    expect(inScope("mail.*", "mailbox.read")).toBe(false);
    expect(inScope("repo:main:*", "repo:main:read")).toBe(true);
    expect(inScope("repo:main:*", "repo:fork:read")).toBe(false);
  });

  test.each(["mail*", "*.read", "mail.*.read", "mail.***", "**", "", "mail-*", "mail.*x"])(
    "%j is none",
    (text) => {
      expect(parsePattern(text, separatorsOf.scope)).toBeUndefined();
    },
  );
});

describe("over random patterns and values", () => {
  const separators = separatorsOf.scope;
  const word = fc.string({ unit: fc.constantFrom("a", "b", ".", ":", "/", "%", "?", "-"), maxLength: 8 });
  const pattern = fc
    .tuple(word, fc.constantFrom("", "*", "**"))
    .map(([stem, wildcard]) => stem + wildcard)
    .filter((text) => parsePattern(text, separators) !== undefined);

  test("covers() agrees with a regular expression written from the documented rules", () => {
    const segment = "(?!\\.{1,2}(?:[.:/]|$))[ab-]+";
    const expected = (text: string, value: string) => {
      const literal = text.replace(/\*+$/, "").replace(/[.?/-]/g, "\\$&");
      if (text === "*") return true;
      if (text.endsWith("**")) return new RegExp(`^${literal}${segment}(?:[.:/]${segment})*$`).test(value);
      return new RegExp(text.endsWith("*") ? `^${literal}${segment}$` : `^${literal}$`).test(value);
    };
    const related = pattern.chain((text) =>
      fc.tuple(
        fc.constant(text),
        fc.oneof(
          word,
          word.map((tail) => text.replace(/\*+$/, "") + tail),
        ),
      ),
    );
    fc.assert(
      fc.property(related, ([text, value]) => covers(text, value, separators) === expected(text, value)),
      { numRuns: 20_000 },
    );
  });

  test("what covers a value is found by the stem that the value has in its shape", () => {
    fc.assert(
      fc.property(pattern, word, (text, tail) => {
        const parsed = parsePattern(text, separators);
        if (parsed === undefined) return false;
        const value = parsed.kind === "any" ? tail : parsed.stem + (parsed.kind === "exact" ? "" : tail);
        if (!covers(text, value, separators)) return true;
        return stemIn(value, shapeOf(parsed, separators), separators) === parsed.stem;
      }),
      { numRuns: 20_000 },
    );
  });
});
