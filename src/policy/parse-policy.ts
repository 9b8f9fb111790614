import { column, type PolicyRule, problemsOfRole, problemsOfRule } from "./check-row.ts";
import { parseCsvLine } from "./csv.ts";
import { findTooDeep, type RoleAssignment } from "./roles.ts";

/** What is wrong with a policy, and where. */
export interface PolicyProblem {
  /** Counted from 1; 0 when it concerns the whole. */
  readonly line: number;
  readonly reason: string;
}

/** The lines of a policy, and what is wrong with them. */
export interface ParsedPolicy {
  readonly rules: readonly PolicyRule[];
  readonly roles: readonly RoleAssignment[];
  /** Empty when the policy is fit for use. */
  readonly problems: readonly PolicyProblem[];
}

interface Row {
  readonly line: number;
  readonly type: "p" | "g";
  readonly fields: PolicyRule;
}

const fieldCounts = { p: Object.keys(column).length, g: 3 } as const;
const linesMax = 1_000_000;
const lineCharsMax = 8192;
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
    return { rules: [], roles: [], problems: [{ line: 0, reason: `it has more than ${linesMax} lines` }] };
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
  const whole = ruleRows.length === 0 ? [{ line: 0, reason: "it has no rule" }] : [];
  const problems = [...whole, ...unread, ...problemsOfRules(ruleRows), ...problemsOfRoles(roleRows)];
  return {
    rules: ruleRows.map(({ fields }) => fields),
    roles: roleRows.map(assignmentOf),
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
  if (type !== "p" && type !== "g") return { line, reason: "it begins with neither p nor g" };
  const count = fieldCounts[type];
  if (fields.length === count) return { line, type, fields };
  return { line, reason: `behind ${type} stand ${count} fields, not ${fields.length}` };
}

function resolveIssuer(row: Row, issuer: string): Row {
  const object = row.fields[column.obj] ?? "";
  if (!object.startsWith("{issuer}")) return row;
  return { ...row, fields: row.fields.with(column.obj, issuer + object.slice("{issuer}".length)) };
}

function problemsOfRules(rows: readonly Row[]): PolicyProblem[] {
  const ids = new Map<string, number>();
  const conditions = new Map<string, number>();
  const problems: PolicyProblem[] = [];
  for (const { line, fields } of rows) {
    const reasons = problemsOfRule(fields);
    const sameId = claim(ids, fields[column.rule] ?? "", line);
    if (sameId !== undefined) reasons.push(`line ${sameId} has the same rule id`);
    // Twice the same conditions: a repetition that blurs which line decided, or a contradiction.
    const sameConditions = claim(conditions, fields.slice(column.dom, column.eft).join("\n"), line);
    if (sameConditions !== undefined) reasons.push(`line ${sameConditions} has the same conditions`);
    for (const reason of reasons) problems.push({ line, reason });
  }
  return problems;
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
