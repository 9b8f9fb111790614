import {
  type IpNetwork,
  networkHolds,
  parseIpAddress,
  parseIpNetwork,
} from "@countersign/sdk/model/ip-network";
import { type Attributes, type AttributeValue, isAttributeName } from "../domain/attributes.ts";

/** One comparison of an attribute; a condition is several of them, all to be true. */
export type Comparison =
  | { readonly attribute: string; readonly operator: "=" | "!="; readonly values: readonly string[] }
  | { readonly attribute: string; readonly operator: "<" | "<=" | ">" | ">="; readonly bound: number }
  | { readonly attribute: string; readonly operator: "in"; readonly networks: readonly IpNetwork[] };

const comparison = /^([a-zA-Z0-9._-]+) ?(!=|<=|>=|=|<|>| in ) ?((?![=<>!])[\x21-\x25\x27-\x7e]+)$/;
const numeral = /^-?(?:0|[1-9]\d{0,14})(?:\.\d{1,9})?$/;
const comparisonsMax = 8;
const valuesMax = 32;

/**
 * The condition that the `when` of a policy line spells: comparisons joined by ` & `, each `name operator value`. `=` and
 * `!=` take several values between `|`, any of which is meant; `<`, `<=`, `>`, `>=` take one number; `in` takes networks.
 * Undefined when it is malformed; empty for `*`, which always holds.
 */
export function parseCondition(text: string): readonly Comparison[] | undefined {
  if (text === "*") return [];
  const parts = text.split(" & ").map(parseComparison);
  const comparisons = parts.filter((part) => part !== undefined);
  return comparisons.length === parts.length && parts.length <= comparisonsMax ? comparisons : undefined;
}

/** Whether a condition is true of what is known; undefined where that does not suffice to say so. */
export function holdsOf(condition: readonly Comparison[], attributes: Attributes): boolean | undefined {
  let isKnown = true;
  for (const one of condition) {
    const value = Object.hasOwn(attributes, one.attribute) ? attributes[one.attribute] : undefined;
    const holds = value === undefined ? undefined : compare(one, value);
    if (holds === false) return false;
    if (holds === undefined) isKnown = false;
  }
  return isKnown ? true : undefined;
}

function parseComparison(text: string): Comparison | undefined {
  const [, attribute = "", operator = "", given = ""] = comparison.exec(text) ?? [];
  const values = given.split("|");
  if (!isAttributeName(attribute) || values.includes("") || values.length > valuesMax) return undefined;
  switch (operator.trim()) {
    case "=":
      return { attribute, operator: "=", values };
    case "!=":
      return { attribute, operator: "!=", values };
    case "in": {
      const networks = values.map((value) => parseIpNetwork(value)).filter((one) => one !== undefined);
      return networks.length === values.length ? { attribute, operator: "in", networks } : undefined;
    }
    default:
      return parseBound(attribute, operator, given);
  }
}

function parseBound(attribute: string, operator: string, given: string): Comparison | undefined {
  if (!numeral.test(given)) return undefined;
  const bound = Number(given);
  switch (operator) {
    case "<":
    case "<=":
    case ">":
    case ">=":
      return { attribute, operator, bound };
    default:
      return undefined;
  }
}

function compare(one: Comparison, value: AttributeValue): boolean | undefined {
  switch (one.operator) {
    case "=":
      return isAmong(value, one.values);
    case "!=": {
      const isOne = isAmong(value, one.values);
      return isOne === undefined ? undefined : !isOne;
    }
    case "in": {
      const address = typeof value === "string" ? parseIpAddress(value) : undefined;
      return address && one.networks.some((network) => networkHolds(network, address));
    }
    default:
      return typeof value === "number" ? isWithin(value, one.operator, one.bound) : undefined;
  }
}

/** Whether a value, or one of a list, is among these; undefined for a text that no policy can spell. */
function isAmong(value: AttributeValue, among: readonly string[]): boolean | undefined {
  if (typeof value !== "object") return isText(String(value)) ? among.includes(String(value)) : undefined;
  if (value.some((item) => among.includes(item))) return true;
  return value.every(isText) ? false : undefined;
}

// What looks like a value and is spelled otherwise (a letter of another script, a blank at its end) is not known.
function isText(value: string): boolean {
  return /^[\x20-\x7e]*$/.test(value) && value.trim() === value;
}

function isWithin(value: number, operator: "<" | "<=" | ">" | ">=", bound: number): boolean {
  switch (operator) {
    case "<":
      return value < bound;
    case "<=":
      return value <= bound;
    case ">":
      return value > bound;
    case ">=":
      return value >= bound;
  }
}
