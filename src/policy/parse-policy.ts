import { column, createRuleCheck, isVerdict, type PolicyRule, problemsOfRole } from "./check-row.ts";
import { parseCsvLine } from "./csv.ts";
import { type Entity, parseEntity, problemsOfEntity } from "./entities.ts";
import { findTooDeep, type RoleAssignment } from "./roles.ts";
import { doAtOnce, eachOf, type Work } from "./work.ts";

/** What is wrong with a policy, and where. */
export interface PolicyProblem {
  /** Counted from 1; 0 when it concerns the whole. */
  readonly line: number;
  readonly reason: string;
}

/** What a policy says. */
export interface PolicyLines {
  readonly rules: readonly PolicyRule[];
  readonly roles: readonly RoleAssignment[];
  readonly entities: readonly Entity[];
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

const fieldCounts = { p: Object.keys(column).length, g: 3, e: 3 } as const;
const linesMax = 1_000_000;
const lineCharsMax = 8192;
/** Lines that the index can't tell apart. */
const alikeMax = 64;
// Beside control characters: bidirectional overrides and their like let a line read otherwise than it acts.
const invisible = /[\p{C}\p{Zl}\p{Zp}]/u;
/** What most lines are, and told in less time. */
const plain = /^[\x20-\x7e]*$/;

/**
 * Reads the text of a policy strictly: a line that is not a rule, a role assignment, a comment or blank is a problem,
 * and so is one that could never match, or that repeats another's id or conditions. Tells all problems, not the first.
 *
 * @param issuer the server's own URL, which `{issuer}` at the beginning of an obj stands for
 */
export function parsePolicy(text: string, issuer: string): ParsedPolicy {
  return doAtOnce(parsingOf(text, issuer));
}

/** What parsePolicy() does, in pieces. */
export function* parsingOf(text: string, issuer: string): Work<ParsedPolicy> {
  const lines = text.split(/\r?\n/);
  if (lines.length > linesMax) {
    return {
      rules: [],
      roles: [],
      entities: [],
      problems: [{ line: 0, reason: `it has more than ${linesMax} lines` }],
    };
  }
  const unread: PolicyProblem[] = [];
  const rows: Record<Row["type"], Row[]> = { p: [], g: [], e: [] };
  yield* eachOf(lines, (content, place) => {
    const row = readRow(place + 1, content);
    if (row === undefined) return;
    if ("reason" in row) unread.push(row);
    else rows[row.type].push(resolveIssuer(row, issuer));
  });
  const roles = rows.g.map(assignmentOf);
  const problems = [
    ...(rows.p.length === 0 ? [{ line: 0, reason: "it has no rule" }] : []),
    ...unread,
    ...(yield* problemsOfRules(rows.p)),
    ...(yield* problemsOfRoles(rows.g)),
    ...(yield* problemsOfEntities(rows.e)),
  ];
  return {
    rules: rows.p.map(({ fields }) => fields),
    roles,
    entities: rows.e.map(({ fields }) => parseEntity(fields)).filter((entity) => entity !== undefined),
    problems: problems.sort((one, other) => one.line - other.line),
  };
}

/** The row that a line holds, what is wrong with it, or undefined for a comment or a blank line. */
function readRow(line: number, content: string): Row | PolicyProblem | undefined {
  if (content.length > lineCharsMax) return { line, reason: `it has more than ${lineCharsMax} characters` };
  if (!plain.test(content) && invisible.test(content))
    return { line, reason: "it holds a control character or an invisible one" };
  if (content.trim() === "" || content.startsWith("#")) return undefined;
  const [type, ...fields] = parseCsvLine(content) ?? [];
  if (type === undefined) return { line, reason: "its quotes do not pair up, or text stands beside them" };
  if (!isRowType(type)) return { line, reason: "it begins with neither p, g nor e" };
  const count = fieldCounts[type];
  if (fields.length === count) return { line, type, fields };
  return { line, reason: `behind ${type} stand ${count} fields, not ${fields.length}` };
}

function isRowType(text: string): text is Row["type"] {
  return Object.hasOwn(fieldCounts, text);
}

function resolveIssuer(row: Row, issuer: string): Row {
  const place = { p: column.obj, e: 0, g: undefined }[row.type];
  const object = place === undefined ? undefined : row.fields[place];
  if (place === undefined || !object?.startsWith("{issuer}")) return row;
  return { ...row, fields: row.fields.with(place, issuer + object.slice("{issuer}".length)) };
}

/** The lines that the index can't tell apart. */
interface Alikes {
  count: number;
  /** The first of them, and what it asks and says beside. */
  readonly first: readonly [rest: string, line: number];
  /** Absent as long as there is the first only. */
  lines?: Map<string, number>;
}

function* problemsOfRules(rows: readonly Row[]): Work<PolicyProblem[]> {
  const ids = new Map<string, number>();
  const alikes = new Map<string, Alikes>();
  const problemsOf = createRuleCheck();
  const problems: PolicyProblem[] = [];
  yield* eachOf(rows, ({ line, fields }) => {
    const reasons = problemsOf(fields);
    const sameId = claim(ids, fields[column.rule] ?? "", line);
    if (sameId !== undefined) reasons.push(`line ${sameId} has the same rule id`);
    reasons.push(...problemsAmong(alikes, fields, line));
    for (const reason of reasons) problems.push({ line, reason });
  });
  return problems;
}

/** What is wrong with a rule beside those before it. */
function problemsAmong(alikes: Map<string, Alikes>, fields: PolicyRule, line: number): string[] {
  // Twice the same conditions: a repetition that blurs which line decided, or a contradiction.
  const when = fields[column.when] ?? "";
  const rest = isVerdict(fields) ? when : `${when}\n${fields[column.eft]}`;
  const key = fields.slice(column.dom, column.when).join("\n");
  const alike = alikes.get(key);
  if (alike === undefined) {
    alikes.set(key, { count: 1, first: [rest, line] });
    return [];
  }
  alike.count++;
  alike.lines ??= new Map([alike.first]);
  const problems: string[] = [];
  const same = claim(alike.lines, rest, line);
  if (same !== undefined) problems.push(`line ${same} has the same conditions`);
  // Each of them is read at every request that the first one matches.
  if (alike.count === alikeMax + 1) problems.push(`more than ${alikeMax} lines differ in when or eft only`);
  return problems;
}

function* problemsOfEntities(rows: readonly Row[]): Work<PolicyProblem[]> {
  const entities = new Map<string, number>();
  const problems: PolicyProblem[] = [];
  yield* eachOf(rows, ({ line, fields }) => {
    const reasons = problemsOfEntity(fields);
    const same = claim(entities, fields.slice(0, 2).join("\n"), line);
    if (same !== undefined) reasons.push(`line ${same} is about the same entity`);
    for (const reason of reasons) problems.push({ line, reason });
  });
  return problems;
}

function* problemsOfRoles(rows: readonly Row[]): Work<PolicyProblem[]> {
  const assignments = new Map<string, number>();
  const problems: PolicyProblem[] = [];
  yield* eachOf(rows, ({ line, fields }) => {
    const reasons = problemsOfRole(fields);
    const same = claim(assignments, fields.join("\n"), line);
    if (same !== undefined) reasons.push(`line ${same} assigns the same role`);
    for (const reason of reasons) problems.push({ line, reason });
  });
  const tooDeep = yield* findTooDeep(rows.map((row) => ({ ...assignmentOf(row), line: row.line })));
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
