import type { Attributes, AttributeValue } from "../domain/attributes.ts";
import { type DecisionRequest, decisionActions, relations } from "../domain/decision.ts";
import { column, type PolicyRule } from "./check-row.ts";
import { type Comparison, holdsOf, parseCondition } from "./condition.ts";
import { covers, parsePattern, separatorsOf } from "./pattern.ts";

/** One thing that a line asks for and a request does not have. */
export type Unmet =
  | {
      readonly of: "subject" | "relation" | "resource" | "action" | "scope";
      /** A name, a value, or a wildcard that covers several. */
      readonly asks: string;
      readonly has: string;
    }
  | (ToldComparison & { readonly of: "condition" });

/** One comparison of a line's condition, and how it stands to what is known. */
export interface ToldComparison {
  /** As the line spells it. */
  readonly asks: string;
  /** What is known of the attribute; absent where nothing is. */
  readonly has?: string;
  /** `unknown`: it can't be told. */
  readonly holds: "yes" | "no" | "unknown";
}

/** What is known of a request when a line is held against it. */
export interface Known {
  readonly request: DecisionRequest;
  readonly names: ReadonlySet<string>;
  readonly attributes: Attributes;
}

/** How each comparison of a line's condition stands; none where it asks for nothing. */
export function comparisonsOf(rule: PolicyRule, attributes: Attributes): readonly ToldComparison[] {
  const when = rule[column.when] ?? "*";
  const texts = when === "*" ? [] : when.split(" & ");
  return (parseCondition(when) ?? []).map((comparison, place) => {
    const value = attributes[comparison.attribute];
    const holds = holdsOf([comparison], attributes);
    return {
      asks: texts[place] ?? "",
      ...(value !== undefined && { has: String(value) }),
      holds: holds === undefined ? "unknown" : holds ? "yes" : "no",
    };
  });
}

/**
 * What a line that allows asks for and a request does not have; empty where the line matches, undefined where the line is
 * for another organization, and so never this one's.
 */
export function unmetBy(
  rule: PolicyRule,
  { request, names, attributes }: Known,
): readonly Unmet[] | undefined {
  const { organization, subject, relation, resource, action, scope } = request;
  const [, dom = "", sub = "", rel = "", obj = "", act = "", scp = ""] = rule;
  if (dom !== "*" && dom !== organization) return undefined;
  const unmet: Unmet[] = [];
  if (sub !== "*" && !names.has(sub)) unmet.push({ of: "subject", asks: sub, has: subject });
  if (rel !== "*" && rel !== relation) unmet.push({ of: "relation", asks: rel, has: relation });
  if (!covers(obj, resource, separatorsOf.obj)) unmet.push({ of: "resource", asks: obj, has: resource });
  if (!covers(act, action, separatorsOf.act)) unmet.push({ of: "action", asks: act, has: action });
  if (!covers(scp, scope, separatorsOf.scope)) unmet.push({ of: "scope", asks: scp, has: scope });
  for (const told of comparisonsOf(rule, attributes))
    if (told.holds !== "yes") unmet.push({ of: "condition", ...told });
  return unmet;
}

/** The request that has these things too: of a wildcard, one value that it covers. */
export function withAll(request: DecisionRequest, unmet: readonly Unmet[]): DecisionRequest {
  return unmet.reduce(withOne, request);
}

function withOne(request: DecisionRequest, unmet: Unmet): DecisionRequest {
  const { of, asks } = unmet;
  switch (of) {
    // Roles and ids share one field: whoever has this name as a role is meant as well.
    case "subject":
      return { ...request, roles: [...request.roles, asks] };
    case "relation":
      return { ...request, relation: relations.find((relation) => relation === asks) ?? request.relation };
    case "resource":
      return { ...request, resource: coveredBy(asks, separatorsOf.obj) };
    case "action":
      return {
        ...request,
        action: decisionActions.find((one) => covers(asks, one, separatorsOf.act)) ?? request.action,
      };
    case "scope":
      return { ...request, scope: coveredBy(asks, separatorsOf.scope) };
    case "condition": {
      const [comparison] = parseCondition(asks) ?? [];
      if (comparison === undefined) return request;
      return {
        ...request,
        attributes: { ...request.attributes, [comparison.attribute]: valueFor(comparison, asks) },
      };
    }
  }
}

function coveredBy(pattern: string, separators: string): string {
  const parsed = parsePattern(pattern, separators);
  return parsed === undefined || parsed.kind === "exact" ? pattern : `${parsed.stem}x`;
}

/** A value of which the comparison is true. */
function valueFor(comparison: Comparison, text: string): AttributeValue {
  switch (comparison.operator) {
    case "=":
      return comparison.values[0] ?? "";
    // Longer than any of them, so none of them.
    case "!=":
      return `other-${comparison.values.reduce((long, value) => (value.length > long.length ? value : long), "")}`;
    case "<":
      return comparison.bound - 1;
    case ">":
      return comparison.bound + 1;
    case "<=":
    case ">=":
      return comparison.bound;
    case "in":
      return /^.*? in ?([^|/]+)/.exec(text)?.[1] ?? "";
  }
}
