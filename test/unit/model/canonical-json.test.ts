import { canonicalJson, type JsonValue } from "@countersign/sdk/model/canonical-json";
import fc from "fast-check";
import { expect, test } from "vitest";

function numberOf(bits: string): number {
  return Buffer.from(bits, "hex").readDoubleBE();
}

// RFC 8785, appendix B: IEEE 754 bits and the number's canonical form.
test.each([
  ["0000000000000000", "0"],
  ["8000000000000000", "0"],
  ["0000000000000001", "5e-324"],
  ["8000000000000001", "-5e-324"],
  ["7fefffffffffffff", "1.7976931348623157e+308"],
  ["ffefffffffffffff", "-1.7976931348623157e+308"],
  ["4340000000000000", "9007199254740992"],
  ["c340000000000000", "-9007199254740992"],
  ["4430000000000000", "295147905179352830000"],
  ["44b52d02c7e14af5", "9.999999999999997e+22"],
  ["44b52d02c7e14af6", "1e+23"],
  ["44b52d02c7e14af7", "1.0000000000000001e+23"],
  ["444b1ae4d6e2ef4e", "999999999999999700000"],
  ["444b1ae4d6e2ef4f", "999999999999999900000"],
  ["444b1ae4d6e2ef50", "1e+21"],
  ["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
  ["3eb0c6f7a0b5ed8d", "0.000001"],
  ["41b3de4355555553", "333333333.3333332"],
  ["41b3de4355555557", "333333333.33333343"],
  ["becbf647612f3696", "-0.0000033333333333333333"],
  ["43143ff3c1cb0959", "1424953923781206.2"],
])("[MOD-003] writes the number %s as %s (RFC 8785, appendix B)", (bits, text) => {
  expect(canonicalJson(numberOf(bits))).toBe(text);
});

test("[MOD-003] writes the sample of RFC 8785, section 3.2.2", () => {
  const sample = JSON.parse(String.raw`{
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]
  }`);
  expect(canonicalJson(sample)).toBe(
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
});

test("[MOD-003] sorts names by UTF-16 code units (RFC 8785, section 3.2.3)", () => {
  const sample = {
    "\u20ac": "Euro",
    "\r": "CR",
    "\ufb33": "Dalet",
    "1": "One",
    "\u{1f600}": "Smiley",
    "\u0080": "C",
    "\u00f6": "o",
  };
  expect(Object.values(JSON.parse(canonicalJson(sample)))).toEqual(
    // JSON.parse puts the integer-like name first; the rest keep their order.
    ["One", "CR", "C", "o", "Euro", "Smiley", "Dalet"],
  );
  expect(canonicalJson(sample)).toMatch(/^\{"\\r":"CR","1":"One",/);
});

test("[MOD-003] says the same as JSON, whatever the order of members", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const text = canonicalJson(value as JsonValue);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(canonicalJson(reversed(value) as JsonValue)).toBe(text);
    }),
  );
});

test("[MOD-003] refuses what has no canonical form, however deep it lies", () => {
  const holed: unknown[] = [1];
  holed[2] = 3;
  const broken = [
    Number.NaN,
    Infinity,
    "\ud800",
    () => 1,
    undefined,
    1n,
    Symbol("s"),
    new Date(0),
    new Map(),
    holed,
  ];
  for (const value of broken) {
    expect(() => canonicalJson(value as JsonValue)).toThrow(TypeError);
    expect(() => canonicalJson([value] as JsonValue)).toThrow(TypeError);
    if (value !== undefined) expect(() => canonicalJson({ a: value } as JsonValue)).toThrow(TypeError);
  }
  expect(() => canonicalJson({ "\udfff": 1 })).toThrow(TypeError);
});

test("leaves out members that are undefined", () => {
  expect(canonicalJson({ b: undefined, a: 1, c: undefined })).toBe('{"a":1}');
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, member]) => [name, reversed(member)]),
  );
}
