import { z } from "zod";
import { indexedModel } from "./casbin.ts";
import { column, type PolicyRule } from "./check-row.ts";
import type { PolicyLines } from "./parse-policy.ts";
import type { Work } from "./work.ts";

const texts = z.array(z.string());
const value = z.union([z.string(), z.number(), z.boolean(), texts]);
const headSchema = z.object({
  model: z.object({ p: z.string() }),
  entities: z.array(z.tuple([z.string(), z.string(), z.record(z.string(), value)])).default([]),
});
const rowsSchema = z.array(texts);

/** The rule's fields before lines had conditions. */
const withoutConditions = "rule, dom, sub, rel, obj, act, scope, eft, reason";

const rolesBegin = ',"roles":[';
const rulesBegin = '],"rules":[';
/** Up to so many lists of texts, each with what stands behind it. */
const someRows = /(?:\[(?:"[^"\\]*(?:\\.[^"\\]*)*",?)*\],?){1,128}/y;

/**
 * The lines of a version that was recorded. They were checked before they were, and whoever hands the text here has
 * compared its hash. Roles and rules stand at its end, and are read a piece at a time.
 *
 * @throws TypeError for a text of another model
 */
export function* recordedLines(text: string): Work<PolicyLines> {
  // Behind it stand lists of texts only, in which a quote before a colon can't be.
  const headEnd = text.lastIndexOf(rolesBegin);
  if (headEnd === -1) throw new TypeError("the policy has no roles");
  const { model, entities } = headSchema.parse(JSON.parse(`${text.slice(0, headEnd)}}`));
  const roles = yield* readRows(text, headEnd + rolesBegin.length);
  if (!text.startsWith(rulesBegin, roles.end)) throw new TypeError("the policy has no rules");
  const rules = yield* readRows(text, roles.end + rulesBegin.length);
  if (text.slice(rules.end) !== "]}") throw new TypeError("the policy does not end behind its rules");
  return {
    rules: rules.rows.map(fieldsUnder(model.p)),
    roles: roles.rows.map(([user = "", role = "", domain = ""]) => ({ user, role, domain })),
    entities: entities.map(([name, domain, attributes]) => ({ name, domain, attributes })),
  };
}

/** The lists of texts that stand at a place, and where they end. */
function* readRows(
  text: string,
  start: number,
): Work<{ readonly rows: readonly string[][]; readonly end: number }> {
  const rows: string[][] = [];
  let end = start;
  for (;;) {
    someRows.lastIndex = end;
    const [some = ""] = someRows.exec(text) ?? [];
    if (some === "") return { rows, end };
    rows.push(...rowsSchema.parse(JSON.parse(`[${some.replace(/,$/, "")}]`)));
    end += some.length;
    yield;
  }
}

function fieldsUnder(fields: string): (rule: PolicyRule) => PolicyRule {
  if (fields === indexedModel["p"]) return (rule) => rule;
  if (fields === withoutConditions) return (rule) => rule.toSpliced(column.when, 0, "*");
  throw new TypeError("the policy is of a model that this version does not know");
}
