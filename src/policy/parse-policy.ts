import { column, isVerdict, type PolicyRule, problemsOfRole, problemsOfRule } from "./check-row.ts";
import { parseCsvLine } from "./csv.ts";
import { type Entity, parseEntity, problemsOfEntity } from "./entities.ts";
import { findTooDeep, type RoleAssignment } from "./roles.ts";

/** What is wrong with a policy, and where. */
export interface PolicyProblem {
  /** Counted from 1; 0 when it concerns the whole. */
  readonly line: number;
  readonly reason: string;
}

/** `two-person`: what follows it comes into force by two operators. */
export const marks = ["two-person"] as const;
export type Mark = (typeof marks)[number];

/** What a policy says. */
export interface PolicyLines {
  readonly rules: readonly PolicyRule[];
  readonly roles: readonly RoleAssignment[];
  readonly entities: readonly Entity[];
  /** What is so of the policy itself, sorted. */
  readonly marks: readonly Mark[];
}

/** The lines of a policy, and what is wrong with them. */
export interface ParsedPolicy extends PolicyLines {
  /** Empty when the policy is fit for use. */
  readonly problems: readonly PolicyProblem[];
}

interface Row {
  readonly line: number;
  readonly type: keyof typeof fieldCounts;
  readonly fields: PolicyRule;
}

const fieldCounts = { p: Object.keys(column).length, g: 3, e: 3, m: 1 } as const;
const linesMax = 1_000_000;
const lineCharsMax = 8192;
/** Lines that the index can't tell apart. */
const alikeMax = 64;
// Beside control characters: bidirectional overrides and their like let a line read otherwise than it acts.
const invisible = /[\p{C}\p{Zl}\p{Zp}]/u;

/**
 * Reads the text of a policy strictly: a line that is not a rule, a role assignment, a comment or blank is a problem,
 * and so is one that could never match, or that repeats another's id or conditions. Tells all problems, not the first.
 *
 * @param issuer the server's own URL, which `{issuer}` at the beginning of an obj stands for
 */
export function parsePolicy(text: string, issuer: string): ParsedPolicy {
  const lines = text.split(/\r?\n/);
  if (lines.length > linesMax) {
    return {
      rules: [],
      roles: [],
      entities: [],
      marks: [],
      problems: [{ line: 0, reason: `it has more than ${linesMax} lines` }],
    };
  }
  const unread: PolicyProblem[] = [];
  const rows: Row[] = [];
  for (const [index, content] of lines.entries()) {
    const row = readRow(index + 1, content);
    if (row === undefined) continue;
    if ("reason" in row) unread.push(row);
    else rows.push(row);
  }
  const ruleRows = rows.filter(({ type }) => type === "p").map((row) => resolveIssuer(row, issuer));
  const roleRows = rows.filter(({ type }) => type === "g");
  const entityRows = rows.filter(({ type }) => type === "e").map((row) => resolveIssuer(row, issuer));
  const whole = ruleRows.length === 0 ? [{ line: 0, reason: "it has no rule" }] : [];
  const problems = [
    ...whole,
    ...unread,
    ...problemsOfRules(ruleRows),
    ...problemsOfRoles(roleRows),
    ...problemsOfEntities(entityRows),
    ...problemsOfMarks(rows),
  ];
  return {
    rules: ruleRows.map(({ fields }) => fields),
    roles: roleRows.map(assignmentOf),
    entities: entityRows.map(({ fields }) => parseEntity(fields)).filter((entity) => entity !== undefined),
    marks: marks.filter((mark) => rows.some(({ type, fields: [name] }) => type === "m" && name === mark)),
    problems: problems.sort((one, other) => one.line - other.line),
  };
}

/** The row that a line holds, what is wrong with it, or undefined for a comment or a blank line. */
function readRow(line: number, content: string): Row | PolicyProblem | undefined {
  if (content.length > lineCharsMax) return { line, reason: `it has more than ${lineCharsMax} characters` };
  if (invisible.test(content)) return { line, reason: "it holds a control character or an invisible one" };
  if (content.trim() === "" || content.startsWith("#")) return undefined;
  const [type, ...fields] = parseCsvLine(content) ?? [];
  if (type === undefined) return { line, reason: "its quotes do not pair up, or text stands beside them" };
  if (!isRowType(type)) return { line, reason: "it begins with neither p, g, e nor m" };
  const count = fieldCounts[type];
  if (fields.length === count) return { line, type, fields };
  return { line, reason: `behind ${type} stand ${count} fields, not ${fields.length}` };
}

function isRowType(text: string): text is Row["type"] {
  return Object.hasOwn(fieldCounts, text);
}

function resolveIssuer(row: Row, issuer: string): Row {
  const place = row.type === "p" ? column.obj : 0;
  const object = row.fields[place] ?? "";
  if (!object.startsWith("{issuer}")) return row;
  return { ...row, fields: row.fields.with(place, issuer + object.slice("{issuer}".length)) };
}

function problemsOfRules(rows: readonly Row[]): PolicyProblem[] {
  const ids = new Map<string, number>();
  const conditions = new Map<string, number>();
  const alikes = new Map<string, number>();
  const problems: PolicyProblem[] = [];
  for (const { line, fields } of rows) {
    const reasons = problemsOfRule(fields);
    const sameId = claim(ids, fields[column.rule] ?? "", line);
    if (sameId !== undefined) reasons.push(`line ${sameId} has the same rule id`);
    // Twice the same conditions: a repetition that blurs which line decided, or a contradiction.
    const asked = fields.slice(column.dom, isVerdict(fields) ? column.eft : column.reason).join("\n");
    const sameConditions = claim(conditions, asked, line);
    if (sameConditions !== undefined) reasons.push(`line ${sameConditions} has the same conditions`);
    const alike = fields.slice(column.dom, column.when).join("\n");
    alikes.set(alike, (alikes.get(alike) ?? 0) + 1);
    // Each of them is read at every request that the first one matches.
    if (alikes.get(alike) === alikeMax + 1)
      reasons.push(`more than ${alikeMax} lines differ in when or eft only`);
    for (const reason of reasons) problems.push({ line, reason });
  }
  return problems;
}

function problemsOfEntities(rows: readonly Row[]): PolicyProblem[] {
  const entities = new Map<string, number>();
  const problems: PolicyProblem[] = [];
  for (const { line, fields } of rows) {
    const reasons = problemsOfEntity(fields);
    const same = claim(entities, fields.slice(0, 2).join("\n"), line);
    if (same !== undefined) reasons.push(`line ${same} is about the same entity`);
    for (const reason of reasons) problems.push({ line, reason });
  }
  return problems;
}

function problemsOfMarks(rows: readonly Row[]): PolicyProblem[] {
  const claims = new Map<string, number>();
  return rows.flatMap(({ line, type, fields: [name = ""] }) => {
    if (type !== "m") return [];
    const same = claim(claims, name, line);
    if (same !== undefined) return [{ line, reason: `line ${same} says the same` }];
    return marks.some((mark) => mark === name)
      ? []
      : [{ line, reason: `a mark must be ${marks.join(" or ")}` }];
  });
}

function problemsOfRoles(rows: readonly Row[]): PolicyProblem[] {
  const assignments = new Map<string, number>();
  const problems: PolicyProblem[] = [];
  for (const { line, fields } of rows) {
    const reasons = problemsOfRole(fields);
    const same = claim(assignments, fields.join("\n"), line);
    if (same !== undefined) reasons.push(`line ${same} assigns the same role`);
    for (const reason of reasons) problems.push({ line, reason });
  }
  const tooDeep = findTooDeep(rows.map((row) => ({ ...assignmentOf(row), line: row.line })));
  if (tooDeep !== undefined) {
    problems.push({ line: tooDeep.line, reason: "roles run in a circle from here, or more than nine deep" });
  }
  return problems;
}

/** Notes that a line has a key; answers the earlier line that has it already. */
function claim(claims: Map<string, number>, key: string, line: number): number | undefined {
  const earlier = claims.get(key);
  if (earlier === undefined) claims.set(key, line);
  return earlier;
}

function assignmentOf({ fields: [user = "", role = "", domain = ""] }: Row): RoleAssignment {
  return { user, role, domain };
}
