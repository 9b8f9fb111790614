import { isExactNumber, isPlainObject, sameJson } from "./bounded-json.ts";
import type { JsonValue } from "./canonical-json.ts";
import { isCount } from "./count.ts";
import { type IpNetwork, networkHolds, parseIpAddress, parseIpNetwork } from "./ip-network.ts";
import { endsOpen, fitsGlob, liesUnder, type Path, parseGlob, parsePath } from "./path.ts";

/** What one argument of a tool call may be. */
export type Constraint =
  /** `exact` and `one_of`: any of these JSON values. */
  | { readonly kind: "values"; readonly values: readonly JsonValue[] }
  /** `range`: a number of the closed interval; an end that was left out is infinite. */
  | { readonly kind: "range"; readonly min: number; readonly max: number }
  /** `prefix`: a path that is this one or lies below it. */
  | { readonly kind: "prefix"; readonly path: Path }
  /** `glob`: a path that the glob matches. */
  | { readonly kind: "glob"; readonly path: Path }
  /** `cidr`: the text of an IP address in the network. */
  | { readonly kind: "cidr"; readonly network: IpNetwork }
  /** `length`: text of at most so many Unicode code points. */
  | { readonly kind: "length"; readonly max: number };

const valuesMax = 64;

/** What the value of each has to be. */
const forms: ReadonlyMap<string, string> = new Map([
  ["exact", "JSON"],
  ["one_of", `a list of 1 to ${valuesMax} values`],
  ["range", "an object of min, max or both, numbers in their order"],
  ["prefix", "a path in its one spelling"],
  ["glob", "a glob in its one spelling"],
  ["cidr", "an IP network in its one spelling"],
  ["length", "an object of max, a whole number"],
]);

/** What the value of a constraint has to be, in words; undefined: there is no constraint of this name. */
export function constraintFormOf(name: string): string | undefined {
  return forms.get(name);
}

/** The constraint that `name: value` spells, or undefined when it is none that can be compared. */
export function parseConstraint(name: string, value: JsonValue): Constraint | undefined {
  switch (name) {
    case "exact":
      return { kind: "values", values: [value] };
    case "one_of":
      return parseValues(value);
    case "range":
      return parseRange(value);
    case "prefix":
    case "glob": {
      const path = typeof value === "string" ? (name === "glob" ? parseGlob : parsePath)(value) : undefined;
      return path && { kind: name, path };
    }
    case "cidr": {
      const network = typeof value === "string" ? parseIpNetwork(value) : undefined;
      return network && { kind: "cidr", network };
    }
    case "length":
      return parseLength(value);
    default:
      return undefined;
  }
}

/** Whether an argument's value is one that the constraint lets through. A value of another type never is. */
export function satisfies(value: unknown, constraint: Constraint): boolean {
  switch (constraint.kind) {
    case "values":
      return constraint.values.some((allowed) => sameJson(allowed, value));
    case "range":
      return isExactNumber(value) && value >= constraint.min && value <= constraint.max;
    case "length":
      return typeof value === "string" && isNoLonger(value, constraint.max);
    case "cidr": {
      const address = typeof value === "string" ? parseIpAddress(value) : undefined;
      return address !== undefined && networkHolds(constraint.network, address);
    }
    case "prefix":
    case "glob": {
      const path = typeof value === "string" ? parsePath(value) : undefined;
      return path !== undefined && pathIsWithin(path, constraint);
    }
  }
}

/**
 * Whether the parent lets through whatever the child does. Values are compared with every kind; else the kinds must be
 * the same, or paths: what can't be compared is not within.
 */
export function isWithin(child: Constraint, parent: Constraint): boolean {
  switch (child.kind) {
    case "values":
      return child.values.every((value) => satisfies(value, parent));
    case "range":
      return parent.kind === "range" && child.min >= parent.min && child.max <= parent.max;
    case "length":
      return parent.kind === "length" && child.max <= parent.max;
    case "cidr":
      return parent.kind === "cidr" && networkHolds(parent.network, child.network);
    case "glob":
      return isPathKind(parent) && pathIsWithin(child.path, parent);
    case "prefix":
      // Whatever lies below the prefix must be matched too, so a glob that ends is never wide enough.
      return (
        isPathKind(parent) &&
        pathIsWithin(child.path, parent) &&
        (parent.kind === "prefix" || endsOpen(parent.path))
      );
  }
}

type PathConstraint = Extract<Constraint, { readonly path: Path }>;

function isPathKind(constraint: Constraint): constraint is PathConstraint {
  return constraint.kind === "prefix" || constraint.kind === "glob";
}

function pathIsWithin(path: Path, { kind, path: allowed }: PathConstraint): boolean {
  return kind === "prefix" ? liesUnder(path, allowed) : fitsGlob(path, allowed);
}

function parseValues(value: JsonValue): Constraint | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > valuesMax) return undefined;
  return { kind: "values", values: value };
}

function parseRange(value: JsonValue): Constraint | undefined {
  if (!isPlainObject(value)) return undefined;
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY, ...unknown } = value;
  const ends = Object.values(value);
  if (ends.length === 0 || !ends.every(isExactNumber) || Object.keys(unknown).length > 0) return undefined;
  return Number(min) <= Number(max) ? { kind: "range", min: Number(min), max: Number(max) } : undefined;
}

function parseLength(value: JsonValue): Constraint | undefined {
  if (!isPlainObject(value)) return undefined;
  const { max, ...unknown } = value;
  return isCount(max) && Object.keys(unknown).length === 0 ? { kind: "length", max } : undefined;
}

function isNoLonger(text: string, codePointsMax: number): boolean {
  if (text.length > 2 * codePointsMax || !text.isWellFormed()) return false;
  return text.length <= codePointsMax || [...text].length <= codePointsMax;
}
