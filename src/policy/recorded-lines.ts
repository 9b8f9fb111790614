import { z } from "zod";
import { indexedModel } from "./casbin.ts";
import { column, type PolicyRule } from "./check-row.ts";
import { createLines, marks, type NumberedLines } from "./parse-policy.ts";
import { addWords } from "./rows.ts";
import type { Work } from "./work.ts";

const value = z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]);
const headSchema = z.object({
  model: z.object({ p: z.string() }),
  entities: z.array(z.tuple([z.string(), z.string(), z.record(z.string(), value)])).default([]),
  marks: z.array(z.enum(marks)).default([]),
});

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
 * @throws TypeError for a text that no version of ours has
 */
export function* recordedLines(text: string): Work<NumberedLines> {
  try {
    return yield* readRecorded(text);
  } catch (error) {
    if (error instanceof TypeError) throw error;
    throw new TypeError("the text is not that of a policy", { cause: error });
  }
}

function* readRecorded(text: string): Work<NumberedLines> {
  // Behind it stand lists of texts only, in which a quote before a colon can't be.
  const headEnd = text.lastIndexOf(rolesBegin);
  if (headEnd === -1) throw new TypeError("the policy has no roles");
  const { model, entities, marks } = headSchema.parse(JSON.parse(`${text.slice(0, headEnd)}}`));
  const lines = createLines();
  const rolesEnd = yield* eachRow(text, headEnd + rolesBegin.length, (row) => {
    addWords(lines.roles, row, lines.texts);
  });
  if (!text.startsWith(rulesBegin, rolesEnd)) throw new TypeError("the policy has no rules");
  const fieldsOf = fieldsUnder(model.p);
  const end = yield* eachRow(text, rolesEnd + rulesBegin.length, (row) => {
    addWords(lines.rules, fieldsOf(row), lines.texts);
  });
  if (text.slice(end) !== "]}") throw new TypeError("the policy does not end behind its rules");
  return {
    ...lines,
    entities: entities.map(([name, domain, attributes]) => ({ name, domain, attributes })),
    marks,
  };
}

/** Takes each of the lists of texts that stand at a place; answers where they end. */
function* eachRow(text: string, start: number, take: (row: string[]) => void): Work<number> {
  for (let end = start; ; yield) {
    someRows.lastIndex = end;
    const [some = ""] = someRows.exec(text) ?? [];
    // Between two lists stands a comma, and behind the last none.
    if (end > start && (text[end - 1] === ",") !== (some !== ""))
      throw new TypeError("the policy's lists are not parted by commas");
    if (some === "") return end;
    // By the expression that found them.
    const rows = JSON.parse(`[${some.replace(/,$/, "")}]`) as string[][];
    for (const row of rows) take(row);
    end += some.length;
  }
}

function fieldsUnder(fields: string): (rule: PolicyRule) => PolicyRule {
  if (fields === indexedModel["p"]) return (rule) => rule;
  if (fields === withoutConditions) return (rule) => rule.toSpliced(column.when, 0, "*");
  throw new TypeError("the policy is of a model that this version does not know");
}
