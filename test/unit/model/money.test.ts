import { minorUnitsOf } from "@countersign/sdk/model/money";
import { describe, expect, test } from "vitest";

describe("[BUD-020] a sum is exact in the smallest units of its currency", () => {
  test.each([
    ["12.50", "EUR", 1250],
    ["12.5", "EUR", 1250],
    ["0", "EUR", 0],
    ["0.01", "USD", 1],
    ["1250", "JPY", 1250],
    ["1.250", "KWD", 1250],
    ["1.0001", "CLF", 10_001],
    ["90071992547409.91", "EUR", Number.MAX_SAFE_INTEGER],
  ])("%s %s", (amount, unit, expected) => {
    expect(minorUnitsOf({ amount, unit })).toBe(expected);
  });
});

describe("[BUD-020] what is no sum, or can't be told exactly, is none", () => {
  test.each([
    ["12.505", "EUR"],
    ["12.5", "JPY"],
    ["90071992547409.92", "EUR"],
    ["-1", "EUR"],
    ["+1", "EUR"],
    ["1e3", "EUR"],
    ["0x10", "EUR"],
    ["01", "EUR"],
    [".5", "EUR"],
    ["5.", "EUR"],
    ["1,000", "EUR"],
    [" 1", "EUR"],
    ["1\n", "EUR"],
    ["١", "EUR"],
    ["", "EUR"],
    ["NaN", "EUR"],
    ["1", "eur"],
    ["1", "EURO"],
    ["1", "EUR\n"],
    ["1", ""],
  ])("%j %j", (amount, unit) => {
    expect(minorUnitsOf({ amount, unit })).toBeUndefined();
  });
});
