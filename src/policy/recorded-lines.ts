import { z } from "zod";
import { indexedModel } from "./casbin.ts";
import { column, type PolicyRule } from "./check-row.ts";
import { marks, type PolicyLines } from "./parse-policy.ts";

const texts = z.array(z.string());
const value = z.union([z.string(), z.number(), z.boolean(), texts]);
const recordedSchema = z.object({
  model: z.object({ p: z.string() }),
  rules: z.array(texts),
  roles: z.array(z.tuple([z.string(), z.string(), z.string()])),
  entities: z.array(z.tuple([z.string(), z.string(), z.record(z.string(), value)])).default([]),
  marks: z.array(z.enum(marks)).default([]),
});

/** The rule's fields before lines had conditions. */
const withoutConditions = "rule, dom, sub, rel, obj, act, scope, eft, reason";

/**
 * The lines of a version that was recorded. They were checked before they were, and whoever hands the text here has
 * compared its hash.
 *
 * @throws TypeError for a text that no version of ours has
 */
export function recordedLines(text: string): PolicyLines {
  const { model, rules, roles, entities, marks } = parseRecorded(text);
  return {
    rules: rules.map(fieldsUnder(model.p)),
    roles: roles.map(([user, role, domain]) => ({ user, role, domain })),
    entities: entities.map(([name, domain, attributes]) => ({ name, domain, attributes })),
    marks,
  };
}

function parseRecorded(text: string): z.output<typeof recordedSchema> {
  try {
    return recordedSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new TypeError("the text is not that of a policy", { cause: error });
  }
}

function fieldsUnder(fields: string): (rule: PolicyRule) => PolicyRule {
  if (fields === indexedModel["p"]) return (rule) => rule;
  if (fields === withoutConditions) return (rule) => rule.toSpliced(column.when, 0, "*");
  throw new TypeError("the policy is of a model that this version does not know");
}
