import { parseAudience, sameAudience } from "./audience.ts";
import { isPlainObject } from "./bounded-json.ts";
import type { JsonValue } from "./canonical-json.ts";
import { type Constraint, constraintFormOf, isWithin, parseConstraint, satisfies } from "./constraint.ts";

/** One call of one tool, as it is about to be made. */
export interface ToolCall {
  readonly server: string;
  readonly tool: string;
  /** Left out where the call has none. */
  readonly arguments?: { readonly [name: string]: unknown } | undefined;
}

/** What an authorization_details object of type `tool_call` lets through. */
export interface ToolCallDetail {
  /** A URI in its only spelling, or a name. */
  readonly server: string;
  readonly tools: readonly string[];
  /** Every argument that a call may have; undefined: whatever arguments it has. */
  readonly arguments: ReadonlyMap<string, ArgumentRule> | undefined;
}

interface ArgumentRule {
  readonly constraint: Constraint;
  readonly optional: boolean;
}

const toolsMax = 64;
const argumentsMax = 32;
const serverName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const toolName = /^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127}$/;
const plainWord = /^[A-Za-z_]{1,32}$/;
const argumentName = /^[A-Za-z0-9_$.-]{1,128}$/;

/** Whether a text is the name of a server of tools: a name, or a URI in its one spelling. */
export function isServerName(text: string): boolean {
  return serverName.test(text) || parseAudience(text) !== undefined;
}

/** Whether a text is the name of a tool, or of another action. */
export function isToolName(text: string): boolean {
  return toolName.test(text);
}

/**
 * What an object of type `tool_call` says, or why it can't be read: the member that is wrong, from a dot on, and the
 * reason. Unknown members are refused.
 */
export function parseToolCallDetail(members: {
  readonly [name: string]: JsonValue | undefined;
}): ToolCallDetail | string {
  const { type: _, server, tools, arguments: named, ...unknown } = members;
  const [stranger] = Object.keys(unknown);
  if (stranger !== undefined) return `${placeOf(stranger)}: no member of tool_call`;
  if (server === undefined) return ".server: is missing";
  if (typeof server !== "string" || !isServerName(server)) {
    return ".server: neither a name nor a URI in canonical form";
  }
  if (tools === undefined) return ".tools: is missing";
  if (!isListOfTools(tools)) return `.tools: no list of 1 to ${toolsMax} distinct tool names`;
  if (named === undefined) return { server, tools, arguments: undefined };
  const rules = parseArguments(named);
  return typeof rules === "string" ? rules : { server, tools, arguments: rules };
}

/** Why a child lets something through that its parent does not, as far as that can be compared; undefined: it does not. */
export function toolCallBeyond(parent: ToolCallDetail, child: ToolCallDetail): string | undefined {
  if (!sameAudience(child.server, parent.server)) return "the server is another";
  const foreign = child.tools.find((tool) => !parent.tools.includes(tool));
  if (foreign !== undefined) return `tool ${foreign} is not delegated`;
  if (parent.arguments === undefined) return undefined;
  if (child.arguments === undefined) return "arguments are constrained and must stay so";
  for (const [name, rule] of child.arguments) {
    const allowed = parent.arguments.get(name);
    if (allowed === undefined) return `argument ${name} is not delegated`;
    if (rule.optional && !allowed.optional) return `argument ${name} may not be left out`;
    if (!isWithin(rule.constraint, allowed.constraint)) return `argument ${name} is not shown to be narrower`;
  }
  const dropped = requiredNames(parent.arguments).find((name) => !child.arguments?.has(name));
  return dropped && `argument ${dropped} may not be left out`;
}

/** Why a call is not one that the object lets through; undefined: it is. */
export function toolCallFault(detail: ToolCallDetail, call: ToolCall): string | undefined {
  if (!sameAudience(call.server, detail.server)) return "the server is another";
  if (!detail.tools.includes(call.tool)) return "the tool is not delegated";
  const given = call.arguments === undefined ? {} : call.arguments;
  if (!isPlainObject(given)) return "arguments are no JSON object";
  if (detail.arguments === undefined) return undefined;
  for (const [name, value] of Object.entries(given)) {
    const rule = detail.arguments.get(name);
    // Its name is the caller's text: it is not repeated.
    if (rule === undefined) return "it has an argument that is not delegated";
    if (!satisfies(value, rule.constraint)) return `argument ${name} is not within its constraint`;
  }
  const missing = requiredNames(detail.arguments).find((name) => !Object.hasOwn(given, name));
  return missing && `argument ${missing} is missing`;
}

function requiredNames(rules: ReadonlyMap<string, ArgumentRule>): readonly string[] {
  return [...rules].filter(([, { optional }]) => !optional).map(([name]) => name);
}

function isListOfTools(tools: JsonValue | undefined): tools is readonly string[] {
  return (
    Array.isArray(tools) &&
    tools.length > 0 &&
    tools.length <= toolsMax &&
    new Set(tools).size === tools.length &&
    tools.every((tool) => typeof tool === "string" && isToolName(tool))
  );
}

function parseArguments(named: JsonValue): ReadonlyMap<string, ArgumentRule> | string {
  if (!isPlainObject(named)) return ".arguments: no object";
  const entries = Object.entries(named);
  if (entries.length > argumentsMax) return `.arguments: more than ${argumentsMax}`;
  const rules = new Map<string, ArgumentRule>();
  for (const [name, value] of entries) {
    if (!argumentName.test(name)) return ".arguments: a name that can't be compared";
    const rule = parseRule(value as JsonValue);
    if (typeof rule === "string") return `.arguments.${name}${rule}`;
    rules.set(name, rule);
  }
  return rules;
}

/** Exactly one constraint, and whether the argument may be left out. */
function parseRule(value: JsonValue): ArgumentRule | string {
  if (!isPlainObject(value)) return ": no object";
  const { optional = false, ...constraints } = value;
  const [only, ...more] = Object.entries(constraints);
  if (typeof optional !== "boolean") return ".optional: neither true nor false";
  if (only === undefined || more.length > 0) return ": not exactly one constraint";
  const [name, given] = only;
  const form = constraintFormOf(name);
  if (form === undefined) return `${placeOf(name)}: no constraint known here`;
  const constraint = parseConstraint(name, given as JsonValue);
  return constraint === undefined ? `.${name}: not ${form}` : { constraint, optional };
}

/** A member that is not known, by its name where that is a plain word: whatever else stands there is not repeated. */
function placeOf(member: string): string {
  return plainWord.test(member) ? `.${member}` : "";
}
