import { canonicalJson, type JsonValue } from "./canonical-json.ts";

/** How large a value from outside may be. */
export interface JsonBounds {
  /** Levels of nesting; 1 is a list or object of scalars. */
  readonly depthMax: number;
  /** Bytes of its canonical JSON in UTF-8. */
  readonly bytesMax: number;
  /** Values in all, lists and objects among them; no other limit than the bytes where it is absent. */
  readonly valuesMax?: number;
}

/**
 * Whether a value is JSON within bounds that every reader reads alike: no lone surrogate, no NUL, no number beyond
 * 2^53 - 1, no member `__proto__`, nothing that is not plain. Stops as soon as a bound is passed, on rings too.
 */
export function isBoundedJson(
  value: unknown,
  { depthMax, bytesMax, valuesMax = bytesMax }: JsonBounds,
): value is JsonValue {
  // Each value and each character is at least one byte: what spends more than the bytes there are is not serialised.
  let left = bytesMax;
  let values = 0;
  const isText = (text: string): boolean => {
    left -= text.length;
    return left >= 0 && text.isWellFormed() && !text.includes("\0");
  };
  const isPlain = (part: unknown, depth: number): boolean => {
    left -= 1;
    values += 1;
    if (left < 0 || values > valuesMax) return false;
    if (part === null || typeof part === "boolean") return true;
    if (typeof part === "string") return isText(part);
    if (typeof part === "number") return isExactNumber(part);
    if (typeof part !== "object" || depth === 0) return false;
    if (Array.isArray(part))
      return part.length <= bytesMax && part.values().every((item) => isPlain(item, depth - 1));
    return (
      isPlainObject(part) &&
      Object.entries(part).every(
        ([name, member]) => name !== "__proto__" && isText(name) && isPlain(member, depth - 1),
      )
    );
  };
  return isPlain(value, depthMax) && utf8Bytes(canonicalJson(value as JsonValue)) <= bytesMax;
}

/** Whether a number is the same in every JSON reader: finite, and a whole one no larger than 2^53 - 1. */
export function isExactNumber(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
}

/** Whether a value is an object of the kind that JSON has: no list, no null, no instance of a class. */
export function isPlainObject(value: unknown): value is { readonly [name: string]: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Whether two JSON values are equal; as much work as `expected` is large, whatever `actual` is. */
export function sameJson(expected: JsonValue, actual: unknown): boolean {
  if (typeof expected !== "object" || expected === null) return expected === actual;
  if (Array.isArray(expected)) {
    return (
      Array.isArray(actual) &&
      actual.length === expected.length &&
      expected.every((item, place) => sameJson(item, actual[place]))
    );
  }
  if (!isPlainObject(actual)) return false;
  const members = Object.entries(expected);
  return (
    Object.keys(actual).length === members.length &&
    members.every(
      ([name, member]) =>
        member !== undefined && Object.hasOwn(actual, name) && sameJson(member, actual[name]),
    )
  );
}

function utf8Bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}
