import { parseAudience } from "@countersign/sdk/model/audience";
import { parseEntityName } from "@countersign/sdk/model/entity";
import { parseOrganizationId } from "@countersign/sdk/model/ids";
import { scopeOf } from "@countersign/sdk/model/scope";
import {
  decisionActions,
  defaultDeny,
  malformedRequest,
  relations,
  tooManyObligations,
} from "../domain/decision.ts";
import { parseObligation } from "../domain/obligation.ts";
import { parseCondition } from "./condition.ts";
import { covers, parsePattern, separatorsOf } from "./pattern.ts";
import type { Texts } from "./texts.ts";

/** Place of each field in a rule, as policies/model.conf orders them. */
export const column = {
  rule: 0,
  dom: 1,
  sub: 2,
  rel: 3,
  obj: 4,
  act: 5,
  scope: 6,
  when: 7,
  eft: 8,
  reason: 9,
} as const;

/** The fields of a p line in the order of `column`; mutable because Casbin's types ask for it, never changed. */
export type PolicyRule = string[];

/** Whether a rule says yes or no; another one says what a yes comes with. */
export function isVerdict(rule: PolicyRule): boolean {
  return rule[column.eft] === "allow" || rule[column.eft] === "deny";
}

const reasonCharsMax = 512;
const ruleId = /^[a-z0-9][a-z0-9._-]{0,63}$/;

const rulesOfNoLine = [defaultDeny, malformedRequest, tooManyObligations];

/** The text of a value that can be matched: printable ASCII but `*`, which only patterns hold. */
const matchable = /^[\x21-\x29\x2b-\x7e]{1,2048}$/;

/** Whether a value of a request or a name in a policy can take part in matching at all. */
export function isMatchable(value: string): boolean {
  return matchable.test(value);
}

interface FieldCheck {
  readonly isGood: (text: string) => boolean;
  readonly problem: string;
}

const fieldChecks: Readonly<Record<keyof typeof column, FieldCheck>> = {
  rule: {
    isGood: (text) => ruleId.test(text),
    problem: "the rule's id must be 1 to 64 of a-z 0-9 . _ -",
  },
  dom: { isGood: isDomain, problem: "dom must be an organization's id or *" },
  sub: {
    isGood: (text) => text === "*" || isMatchable(text),
    problem: "sub must be a subject, a role, or *",
  },
  rel: {
    isGood: (text) => text === "*" || relations.some((relation) => relation === text),
    problem: `rel must be * or one of ${relations.join(", ")}`,
  },
  obj: {
    isGood: isObject,
    problem: "obj must be a resource's audience in canonical form, that with /* or /** behind it, or *",
  },
  act: { isGood: isAction, problem: `act must cover one of ${decisionActions.join(", ")}` },
  scope: { isGood: isScope, problem: "scope must be one scope token, or a wildcard behind . : or /" },
  when: {
    isGood: (text) => parseCondition(text) !== undefined,
    problem: 'when must be comparisons of attributes, joined by " & "',
  },
  eft: { isGood: isEffect, problem: "eft must be allow, deny, needs_approval, or an obligation" },
  reason: {
    isGood: (text) => text !== "" && text.length <= reasonCharsMax,
    problem: `reason must have 1 to ${reasonCharsMax} characters`,
  },
};

const nameCheck = { isGood: isMatchable, problem: "user and role must be names, without a wildcard" };
const roleChecks: readonly FieldCheck[] = [
  nameCheck,
  nameCheck,
  { isGood: isDomain, problem: "the domain must be an organization's id or *" },
];

/** Tells what is wrong with the fields of lines, each in words. */
export interface LineChecks {
  /** Of a p line; a condition that nothing could meet is wrong too. */
  readonly problemsOfRule: (numbers: readonly number[]) => string[];
  /** Of a g line. */
  readonly problemsOfRole: (numbers: readonly number[]) => string[];
}

/** Checks for the lines of one policy: a text that was good in a field is not looked at again. */
export function createLineChecks(texts: Texts): LineChecks {
  // By the number of a text the fields that it is good in, a bit for each.
  const goodIn: number[] = [];
  const checks = [...Object.values(fieldChecks), ...roleChecks].map((check, place) => ({
    ...check,
    bit: 1 << place,
  }));
  const problemsOf = (fields: typeof checks) => (numbers: readonly number[]) => {
    const problems = new Set<string>();
    for (const [at, { isGood, problem, bit }] of fields.entries()) {
      const number = numbers[at] ?? 0;
      const good = goodIn[number] ?? 0;
      if ((good & bit) !== 0) continue;
      if (isGood(texts.all[number] ?? "")) goodIn[number] = good | bit;
      else problems.add(problem);
    }
    return [...problems];
  };
  const width = Object.keys(fieldChecks).length;
  const problemsOfRule = problemsOf(checks.slice(0, width));
  return {
    problemsOfRule: (numbers) => {
      const id = texts.all[numbers[column.rule] ?? 0] ?? "";
      const problems = problemsOfRule(numbers);
      if (!rulesOfNoLine.includes(id)) return problems;
      return [...problems, `"${id}" names a decision that no line makes`];
    },
    problemsOfRole: problemsOf(checks.slice(width)),
  };
}

function isDomain(text: string): boolean {
  return text === "*" || parseOrganizationId(text) !== undefined;
}

function isObject(text: string): boolean {
  const pattern = parsePattern(text, separatorsOf.obj);
  switch (pattern?.kind) {
    case undefined:
      return false;
    case "any":
      return true;
    case "exact":
      return parseAudience(text) !== undefined || parseEntityName(text) !== undefined;
    // The stem must end behind a whole audience: https://* would cover every host.
    case "child":
    case "below":
      return (
        (parseAudience(pattern.stem.slice(0, -1)) !== undefined && !pattern.stem.includes("?")) ||
        isEntityStem(pattern.stem)
      );
  }
}

/** What an entity's wildcard stands behind: its type and the root, or a whole path. */
function isEntityStem(stem: string): boolean {
  const bare = stem.slice(0, -1);
  return parseEntityName(bare.endsWith(":") ? `${bare}/` : bare) !== undefined;
}

function isEffect(text: string): boolean {
  return ["allow", "deny", "needs_approval"].includes(text) || parseObligation(text) !== undefined;
}

function isAction(text: string): boolean {
  const isLegal = parsePattern(text, separatorsOf.act) !== undefined;
  return isLegal && decisionActions.some((action) => covers(text, action, separatorsOf.act));
}

function isScope(text: string): boolean {
  const pattern = parsePattern(text, separatorsOf.scope);
  return pattern !== undefined && (pattern.kind === "any" || scopeOf([pattern.stem]) !== undefined);
}
