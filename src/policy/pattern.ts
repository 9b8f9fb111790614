/**
 * The conditions of a policy line besides its subject, each with the characters that part its values into segments.
 * Those of obj, act and scope stand in policies/model.conf too.
 */
export const separatorsOf = { dom: "", rel: "", obj: "/", act: ".", scope: ".:/" } as const;
export type PatternField = keyof typeof separatorsOf;

/** What a field of a policy line asks of a request's value. */
export interface Pattern {
  /** exact: this value; any: every value; child: the stem and one segment; below: the stem and at least one. */
  readonly kind: "exact" | "any" | "child" | "below";
  /** The whole text when exact; else what stands before the wildcard, its last separator included. */
  readonly stem: string;
}

/** The pattern that `text` is, or undefined: `*` and `**` stand alone or behind a separator, and only at the end. */
export function parsePattern(text: string, separators: string): Pattern | undefined {
  if (text === "*") return { kind: "any", stem: "" };
  const star = text.indexOf("*");
  if (star === -1) return text === "" ? undefined : { kind: "exact", stem: text };
  const stem = text.slice(0, star);
  const wildcard = text.slice(star);
  if (stem === "" || !separators.includes(stem.slice(-1))) return undefined;
  if (wildcard === "*") return { kind: "child", stem };
  return wildcard === "**" ? { kind: "below", stem } : undefined;
}

/**
 * Whether a policy's pattern covers a request's value; Casbin's matcher calls it. A wildcard behind a stem never covers
 * an empty segment, one that ends in a dot (`.` and `..` too), a query, or anything percent-encoded.
 *
 * @param value free of `*`: decide() has refused others, so a request can't quote a wildcard
 */
export function covers(pattern: string, value: string, separators: string): boolean {
  if (pattern === "*" || pattern === value) return true;
  if (!pattern.endsWith("*")) return false;
  const isDeep = pattern.endsWith("**");
  const stem = pattern.slice(0, isDeep ? -2 : -1);
  if (!value.startsWith(stem)) return false;
  const segments = plainSegments(value.slice(stem.length), separators);
  return isDeep ? segments >= 1 : segments === 1;
}

/** How many segments a text has, or 0 when one of them is not plain. */
function plainSegments(text: string, separators: string): number {
  let count = 0;
  for (let start = 0; start <= text.length; count++) {
    const end = nextSeparator(text, start, separators);
    const segment = text.slice(start, end);
    // What ends in a dot climbs, stays, or is without it to some readers.
    if (segment.endsWith(".") || !/^[^?#%\\]+$/.test(segment)) return 0;
    start = end + 1;
  }
  return count;
}

/** Place of the first separator at or behind `start`, or where the text ends. */
function nextSeparator(text: string, start: number, separators: string): number {
  let place = start;
  while (place < text.length && !separators.includes(text.charAt(place))) place++;
  return place;
}

/** How the index finds a pattern: by the whole value, by nothing, or by a stem of so many separators. */
export type PatternShape = "exact" | "any" | number;

/** The shape of a pattern. */
export function shapeOf(pattern: Pattern, separators: string): PatternShape {
  if (pattern.kind === "exact" || pattern.kind === "any") return pattern.kind;
  return [...pattern.stem].filter((character) => separators.includes(character)).length;
}

/**
 * The one stem that a pattern of this shape has if it covers the value. The reverse does not hold: what is found by
 * the stem is a candidate, and Casbin decides.
 */
export function stemIn(value: string, shape: PatternShape, separators: string): string {
  if (shape === "exact") return value;
  if (shape === "any") return "";
  let end = 0;
  for (let depth = 0; depth < shape; depth++) end = nextSeparator(value, end, separators) + 1;
  return value.slice(0, end);
}
