import { isBoundedJson, isPlainObject } from "./bounded-json.ts";
import type { JsonValue } from "./canonical-json.ts";
import {
  parseToolCallDetail,
  type ToolCall,
  type ToolCallDetail,
  toolCallBeyond,
  toolCallFault,
} from "./tool-call.ts";

/**
 * RFC 9396 authorization_details as a Delegation or a token carries them. An empty list restricts nothing: the scope
 * alone says what may be done. Otherwise only what some object lets through may be done, within the scope.
 */
export type AuthorizationDetails = readonly JsonValue[];

/** The types there is a validator for. */
export const authorizationDetailsTypes = ["tool_call"] as const;

const objectsMax = 64;
// Some bytes of JSON can be thousands of empty lists, which cost a reader far more than text does.
const bounds = { depthMax: 8, bytesMax: 8192, valuesMax: 1024 };

/**
 * Whether authority over `child` is no wider than over `parent`: whatever permits() lets through for the child it lets
 * through for the parent. A list that is empty in the child only is wider; what can't be compared is not covered.
 *
 * @see RFC 9396, section 2
 */
export function covers(parent: AuthorizationDetails, child: unknown): boolean {
  return detailsBeyond(parent, child) === undefined;
}

/**
 * Whether a tool call falls inside. True for an empty list, which leaves it to the scope; false for a list with
 * anything in it that can't be read.
 */
export function permits(details: AuthorizationDetails, call: ToolCall): boolean {
  return callFault(details, call) === undefined;
}

/** Why `parent` does not cover `child`, in words without the values of either; undefined: it does. */
export function detailsBeyond(parent: AuthorizationDetails, child: unknown): string | undefined {
  const allowed = parseDetails(parent);
  const asked = parseDetails(child);
  if (typeof allowed === "string") return `the parent's can't be compared: ${allowed}`;
  if (typeof asked === "string") return asked;
  if (allowed.length === 0) return undefined;
  if (asked.length === 0) return "the parent has authorization_details, so the child has some";
  for (const [place, detail] of asked.entries()) {
    const reasons = allowed.map((one) => toolCallBeyond(one, detail));
    if (reasons.includes(undefined)) continue;
    const reason =
      reasons.length === 1 ? reasons[0] : `none of the parent's ${reasons.length} objects covers it`;
    return `authorization_details[${place}]: ${reason}`;
  }
  return undefined;
}

/**
 * Why a list can't be read whatever it is compared with: the member that is wrong, by its path and never its value, and
 * what is wrong with it; undefined: it can.
 *
 * @see RFC 9396, section 5
 */
export function detailsFault(details: unknown): string | undefined {
  const read = parseDetails(details);
  return typeof read === "string" ? read : undefined;
}

/** Why a tool call falls outside, in words without its values; undefined: it falls inside. */
export function callFault(details: AuthorizationDetails, call: ToolCall): string | undefined {
  const allowed = parseDetails(details);
  if (typeof allowed === "string") return `they can't be read: ${allowed}`;
  if (allowed.length === 0) return undefined;
  const faults = allowed.map((detail) => toolCallFault(detail, call));
  if (faults.includes(undefined)) return undefined;
  return faults.length === 1 ? faults[0] : `none of the ${faults.length} objects lets it through`;
}

/** What the objects say, or why one of them can't be read: with a part unknown, none of the whole is used. */
function parseDetails(details: unknown): readonly ToolCallDetail[] | string {
  if (!Array.isArray(details) || details.length > objectsMax)
    return `authorization_details: no list of at most ${objectsMax} objects`;
  if (!isBoundedJson(details, bounds)) {
    const { bytesMax, depthMax, valuesMax } = bounds;
    return `authorization_details: no JSON of at most ${bytesMax} bytes, ${depthMax} levels and ${valuesMax} values`;
  }
  const parsed: ToolCallDetail[] = [];
  for (const [place, detail] of details.entries()) {
    const read = parseDetail(detail);
    if (typeof read === "string") return `authorization_details[${place}]${read}`;
    parsed.push(read);
  }
  return parsed;
}

/** One validator for each type; a type without one is refused. Why is told as parseToolCallDetail tells it. */
function parseDetail(detail: JsonValue): ToolCallDetail | string {
  if (!isPlainObject(detail)) return ": no object";
  switch (detail["type"]) {
    case "tool_call":
      return parseToolCallDetail(detail as { readonly [name: string]: JsonValue });
    case undefined:
      return ".type: is missing";
    default:
      return `.type: none of the types known here: ${authorizationDetailsTypes.join(" ")}`;
  }
}
