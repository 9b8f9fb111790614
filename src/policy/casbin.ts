import { DefaultRoleManager, type Model, newEnforcer, newModel, newModelFromString } from "casbin";
import type { Attributes } from "../domain/attributes.ts";
import type { DecisionRequest } from "../domain/decision.ts";
import type { PolicyRule } from "./check-row.ts";
import { type Comparison, holdsOf, parseCondition } from "./condition.ts";
import { covers } from "./pattern.ts";

/**
 * Has Casbin decide a request by these rules alone, for a subject that goes by these names and of what is known of it.
 * `rule` is the one that decided; empty when none matched.
 */
export type Enforce = (
  rules: PolicyRule[],
  names: ReadonlySet<string>,
  request: DecisionRequest,
  attributes: Attributes,
) => { readonly isAllowed: boolean; readonly rule: readonly string[] };

/** The model as Casbin parses it. The index finds candidates for this one only: under another, denials could be missed. */
export const indexedModel: Readonly<Record<string, string>> = {
  r: "dom, sub, rel, obj, act, scope, attributes",
  p: "rule, dom, sub, rel, obj, act, scope, when, eft, reason",
  g: "_, _, _",
  e: "some(where (p_eft == allow)) && !some(where (p_eft == deny))",
  m:
    '(p_dom == "*" || p_dom == r_dom) && (p_sub == "*" || g(r_sub, p_sub, r_dom)) && (p_rel == "*" || p_rel == r_rel) && ' +
    'covers(p_obj, r_obj, "/") && covers(p_act, r_act, ".") && covers(p_scope, r_scope, ".:/") && ' +
    "holds(p_when, p_eft, r_attributes)",
};

/** What is wrong with the text of a model, in words; undefined when it is the one that the index is made for. */
export function problemOfModel(text: string): string | undefined {
  const sections = parseModel(text);
  if (sections === undefined) return "the model does not parse";
  const isIndexed = Object.entries(indexedModel).every(([key, value]) => {
    const definitions = sections.get(key);
    return definitions?.size === 1 && definitions.get(key)?.value === value;
  });
  return isIndexed ? undefined : "the model is another than the index is made for";
}

/**
 * Sets up Casbin's own enforcer with the indexed model. Each decision lays the candidates and the subject's names before it
 * and takes them away again, within one synchronous call: no two decisions can meet.
 */
export async function createEnforce(): Promise<Enforce> {
  const model = newModel();
  for (const [key, value] of Object.entries(indexedModel)) model.addDef(key, key, value);
  const policy = model.model.get("p")?.get("p");
  if (policy === undefined) throw new TypeError("a model without a policy definition was not refused");
  const enforcer = await newEnforcer(model);
  await enforcer.addFunction("covers", covers);
  await enforcer.addFunction("holds", conditionsOfRules());
  let held: ReadonlySet<string> = new Set();
  const roleManager = new DefaultRoleManager(1);
  roleManager.syncedHasLink = (_subject, role) => held.has(role);
  enforcer.setRoleManager(roleManager);
  await enforcer.buildRoleLinks();
  return (rules, names, { organization, subject, relation, resource, action, scope }, attributes) => {
    // Casbin evaluates an empty policy once with blanks: it must never see one.
    if (rules.length === 0) return { isAllowed: false, rule: [] };
    policy.policy = rules;
    held = names;
    const asked = [organization, subject, relation, resource, action, scope, attributes];
    const [isAllowed, rule] = enforcer.enforceExSync(...asked);
    policy.policy = [];
    return { isAllowed, rule };
  };
}

/**
 * Whether the `when` of a line holds, as the matcher asks. What can't be told, because an attribute is missing or of
 * another kind, is never to anybody's advantage: a line that allows needs to be met, any other one applies.
 */
export function conditionsOfRules(): (when: string, eft: string, attributes: Attributes) => boolean {
  // Only lines of one policy are asked about: no caller can make it grow.
  const parsed = new Map<string, readonly Comparison[]>();
  return (when, eft, attributes) => {
    if (when === "*") return true;
    const condition = parsed.get(when) ?? parseCondition(when);
    if (condition === undefined) throw new TypeError("a rule with a malformed condition was not refused");
    parsed.set(when, condition);
    return holdsOf(condition, attributes) ?? eft !== "allow";
  };
}

function parseModel(text: string): Model["model"] | undefined {
  try {
    return newModelFromString(text).model;
  } catch {
    return undefined;
  }
}
