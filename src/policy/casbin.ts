import { DefaultRoleManager, type Model, newEnforcer, newModelFromString } from "casbin";
import type { DecisionRequest } from "../domain/decision.ts";
import type { PolicyRule } from "./check-row.ts";
import { covers } from "./pattern.ts";

/**
 * Has Casbin decide a request by these rules alone, for a subject that goes by these names. `rule` is the one that
 * decided; empty when none matched.
 */
export type Enforce = (
  rules: PolicyRule[],
  names: ReadonlySet<string>,
  request: DecisionRequest,
) => { readonly isAllowed: boolean; readonly rule: readonly string[] };

/** The model as Casbin parses it. The index finds candidates for this one only: under another, denials could be missed. */
export const indexedModel: Readonly<Record<string, string>> = {
  r: "dom, sub, rel, obj, act, scope",
  p: "rule, dom, sub, rel, obj, act, scope, eft, reason",
  g: "_, _, _",
  e: "some(where (p_eft == allow)) && !some(where (p_eft == deny))",
  m:
    '(p_dom == "*" || p_dom == r_dom) && (p_sub == "*" || g(r_sub, p_sub, r_dom)) && (p_rel == "*" || p_rel == r_rel) && ' +
    'covers(p_obj, r_obj, "/") && covers(p_act, r_act, ".") && covers(p_scope, r_scope, ".:/")',
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
 * Sets up Casbin's own enforcer with this model. Each decision lays the candidates and the subject's names before it
 * and takes them away again, within one synchronous call: no two decisions can meet.
 *
 * @param modelText one in which problemOfModel() finds nothing wrong
 */
export async function createEnforce(modelText: string): Promise<Enforce> {
  const model = newModelFromString(modelText);
  const policy = model.model.get("p")?.get("p");
  if (policy === undefined) throw new TypeError("a model without a policy definition was not refused");
  const enforcer = await newEnforcer(model);
  await enforcer.addFunction("covers", covers);
  let held: ReadonlySet<string> = new Set();
  const roleManager = new DefaultRoleManager(1);
  roleManager.syncedHasLink = (_subject, role) => held.has(role);
  enforcer.setRoleManager(roleManager);
  await enforcer.buildRoleLinks();
  return (rules, names, { organization, subject, relation, resource, action, scope }) => {
    // Casbin evaluates an empty policy once with blanks: it must never see one.
    if (rules.length === 0) return { isAllowed: false, rule: [] };
    policy.policy = rules;
    held = names;
    const asked = [organization, subject, relation, resource, action, scope];
    const [isAllowed, rule] = enforcer.enforceExSync(...asked);
    policy.policy = [];
    return { isAllowed, rule };
  };
}

function parseModel(text: string): Model["model"] | undefined {
  try {
    return newModelFromString(text).model;
  } catch {
    return undefined;
  }
}
