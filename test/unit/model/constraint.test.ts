import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import { type Constraint, isWithin, parseConstraint, satisfies } from "@countersign/sdk/model/constraint";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { argumentValues, constraints } from "./details.ts";

function constraint(spelled: JsonValue): Constraint | undefined {
  const [entry] = Object.entries(spelled as { [name: string]: JsonValue });
  return entry && parseConstraint(...entry);
}

const parsed = constraints.map((spelled) => {
  const read = constraint(spelled);
  if (read === undefined) throw new Error(`not read: ${JSON.stringify(spelled)}`);
  return read;
});

describe("constraints", () => {
  test("[NAR-001] a constraint within another lets nothing through that the other does not", () => {
    const compared = { within: 0 };
    fc.assert(
      fc.property(parsed, parsed, (child, parent) => {
        if (!isWithin(child, parent)) return;
        compared.within++;
        for (const value of argumentValues) {
          if (satisfies(value, child)) expect([value, satisfies(value, parent)]).toEqual([value, true]);
        }
      }),
      { numRuns: 15_000 },
    );
    expect(compared.within).toBeGreaterThan(500);
  });

  test("[NAR-001] each is within itself, and being within goes on over any number of hops", () => {
    fc.assert(fc.property(parsed, (one) => isWithin(one, one)));
    const chains = { seen: 0 };
    const pools = fc.array(parsed, { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(pools, (pool) => {
        const pairs = pool.flatMap((a) =>
          pool.filter((b) => a !== b && isWithin(b, a)).map((b) => [a, b] as const),
        );
        for (const [a, b] of pairs) {
          for (const [, c] of pairs.filter(([middle]) => middle === b)) {
            chains.seen++;
            expect(isWithin(c, a)).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
    expect(chains.seen).toBeGreaterThan(50);
  });

  test.each<[JsonValue, JsonValue, boolean]>([
    [{ prefix: "/data" }, { prefix: "/data" }, true],
    [{ prefix: "/data/x" }, { prefix: "/data" }, true],
    [{ prefix: "/database" }, { prefix: "/data" }, false],
    [{ prefix: "/data" }, { prefix: "/data/x" }, false],
    [{ glob: "/data/*" }, { prefix: "/data" }, true],
    [{ glob: "/*/x" }, { prefix: "/data" }, false],
    [{ prefix: "/data/x" }, { glob: "/data/**" }, true],
    [{ prefix: "/data" }, { glob: "/data/**" }, false],
    [{ prefix: "/data/x" }, { glob: "/data/*" }, false],
    [{ glob: "/data/x/*" }, { glob: "/data/**" }, true],
    [{ glob: "/data/**" }, { glob: "/data/*" }, false],
    [{ glob: "/data/**" }, { glob: "/data/*/**" }, false],
    [{ glob: "/data/*/**" }, { glob: "/data/**" }, true],
    [{ glob: "/data/*" }, { glob: "/*/x" }, false],
    [{ exact: "/data/x" }, { glob: "/*/x" }, true],
    [{ exact: "/data/../etc" }, { prefix: "/data" }, false],
    [{ one_of: ["/data/x", "/etc"] }, { prefix: "/data" }, false],
    [{ one_of: [1, 2] }, { range: { min: 1, max: 2 } }, true],
    [{ one_of: [1, "2"] }, { range: { min: 1, max: 2 } }, false],
    [{ exact: 1 }, { one_of: [2, 1] }, true],
    [{ exact: true }, { one_of: [1] }, false],
    [{ exact: { b: 1, a: [2] } }, { exact: { a: [2], b: 1 } }, true],
    [{ exact: { a: 1 } }, { exact: { a: 1, b: 2 } }, false],
    [{ exact: -0 }, { range: { min: 0 } }, true],
    [{ range: { min: 1, max: 2 } }, { range: { min: 1 } }, true],
    [{ range: { min: 1 } }, { range: { min: 1, max: 2 } }, false],
    [{ range: { min: 1, max: 1 } }, { exact: 1 }, false],
    [{ cidr: "10.1.0.0/16" }, { cidr: "10.0.0.0/8" }, true],
    [{ exact: "10.1.0.1" }, { cidr: "10.0.0.0/8" }, true],
    [{ exact: "::ffff:10.1.0.1" }, { cidr: "10.0.0.0/8" }, false],
    [{ exact: "::ffff:10.1.0.1" }, { cidr: "::/0" }, false],
    [{ length: { max: 3 } }, { length: { max: 4 } }, true],
    [{ length: { max: 4 } }, { length: { max: 3 } }, false],
    [{ exact: "\u{1f600}\u{1f600}" }, { length: { max: 2 } }, true],
    [{ exact: ["a"] }, { length: { max: 2 } }, false],
    [{ prefix: "/a" }, { length: { max: 100 } }, false],
  ])("%j within %j: %s", (child, parent, expected) => {
    const [inner, outer] = [constraint(child), constraint(parent)];
    if (inner === undefined || outer === undefined) throw new Error("not constraints");
    expect(isWithin(inner, outer)).toBe(expected);
  });

  test.each<[string, JsonValue]>([
    ["a kind that is unknown", { regex: ".*" }],
    ["another case", { Exact: 1 }],
    ["an inherited name", { constructor: 1 }],
    ["no value", { one_of: [] }],
    ["values that are no list", { one_of: { 0: "a" } }],
    ["too many values", { one_of: Array.from({ length: 65 }, (_, value) => value) }],
    ["a range without ends", { range: {} }],
    ["an empty range", { range: { min: 2, max: 1 } }],
    ["a range of texts", { range: { min: "1" } }],
    ["a range with an end that is null", { range: { min: null, max: 1 } }],
    ["an open range", { range: { min: 1, exclusive: true } }],
    ["a range as a list", { range: [1, 2] }],
    ["a range that no reader holds exactly", { range: { max: 2 ** 53 } }],
    ["a range that ends nowhere", { range: { max: Number.NaN } }],
    ["an endless range", { range: { max: Number.POSITIVE_INFINITY } }],
    ["a prefix that is no path", { prefix: "/data/" }],
    ["a prefix that is a number", { prefix: 1 }],
    ["a prefix that is a glob", { prefix: "/data/*" }],
    ["a list of prefixes", { prefix: ["/data"] }],
    ["a glob in the middle", { glob: "/**/x" }],
    ["a network with host bits", { cidr: "10.0.0.1/8" }],
    ["a length that is a number", { length: 3 }],
    ["a negative length", { length: { max: -1 } }],
    ["half a length", { length: { max: 1.5 } }],
    ["a length with a lower end", { length: { max: 3, min: 1 } }],
  ])("[NAR-002] refuses %s", (_, spelled) => expect(constraint(spelled)).toBeUndefined());

  test("a closed range has both its ends, a number that no reader holds exactly is in none", () => {
    const range = constraint({ range: { min: 1, max: 2 } });
    const above = constraint({ range: { min: 1 } });
    if (range === undefined || above === undefined) throw new Error("not a range");
    for (const value of [1, 1.5, 2]) expect(satisfies(value, range)).toBe(true);
    for (const value of [0.999, 2.001, "1", [1], null, true]) expect(satisfies(value, range)).toBe(false);
    for (const value of [2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, 1n])
      expect(satisfies(value, above)).toBe(false);
  });
});
