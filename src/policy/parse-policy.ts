import { column, createLineChecks, isVerdict, type LineChecks, type PolicyRule } from "./check-row.ts";
import { parseCsvLine } from "./csv.ts";
import { type Entity, parseEntity, problemsOfEntity } from "./entities.ts";
import { findTooDeep, type RoleAssignment } from "./roles.ts";
import { addRow, createRows, likelyAlike, type Rows, wordsOf } from "./rows.ts";
import { scanLine } from "./scan-line.ts";
import { createTexts, numberFor, numberOfPart, type Texts } from "./texts.ts";
import { doAtOnce, linesAPiece, type Work } from "./work.ts";

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

/** What a policy says, its rules and roles as numbers of texts. */
export interface NumberedLines {
  readonly texts: Texts;
  /** The fields in the order of `column`. */
  readonly rules: Rows;
  /** User, role and domain. */
  readonly roles: Rows;
  readonly entities: readonly Entity[];
  /** Sorted. */
  readonly marks: readonly Mark[];
}

/** The lines of a policy as numbers, and what is wrong with them. */
export interface ReadLines extends NumberedLines {
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
const issuerPlaceholder = "{issuer}";

/**
 * Reads the text of a policy strictly: a line that is not a rule, a role assignment, a comment or blank is a problem,
 * and so is one that could never match, or that repeats another's id or conditions. Tells all problems, not the first.
 *
 * @param issuer the server's own URL, which `{issuer}` at the beginning of an obj stands for
 */
export function parsePolicy(text: string, issuer: string): ParsedPolicy {
  const read = doAtOnce(readLines(text, issuer));
  return { ...linesOf(read), problems: read.problems };
}

/** No lines yet. */
export function createLines(): NumberedLines & { readonly entities: Entity[] } {
  return {
    texts: createTexts(),
    rules: createRows(fieldCounts.p),
    roles: createRows(fieldCounts.g),
    entities: [],
    marks: [],
  };
}

/** The lines in words. */
export function linesOf({ texts, rules, roles, entities, marks }: NumberedLines): PolicyLines {
  return {
    rules: Array.from({ length: rules.count }, (_, row) => wordsOf(rules, row, texts)),
    roles: Array.from({ length: roles.count }, (_, row) => {
      const [user = "", role = "", domain = ""] = wordsOf(roles, row, texts);
      return { user, role, domain };
    }),
    entities,
    marks,
  };
}

/** What parsePolicy() does, in pieces. */
export function* readLines(text: string, issuer: string): Work<ReadLines> {
  const reading = createReading(issuer);
  const { lines, problems, linesOfRows, markLines } = reading;
  let start = 0;
  for (let line = 1; start <= text.length; line++) {
    if (line > linesMax)
      return { ...createLines(), problems: [{ line: 0, reason: `it has more than ${linesMax} lines` }] };
    const found = text.indexOf("\n", start);
    const end = found === -1 ? text.length : found;
    // The end of a line may be written as two characters.
    const contentEnd = found > start && text[end - 1] === "\r" ? end - 1 : end;
    if (!takePlainLine(reading, line, text, start, contentEnd))
      takeLine(reading, line, text.slice(start, contentEnd));
    start = end + 1;
    if (line % linesAPiece === 0) yield;
  }
  if (lines.rules.count === 0) problems.push({ line: 0, reason: "it has no rule" });
  yield* tellRepetitions(reading);
  const tooDeep = yield* findTooDeep(lines.roles);
  if (tooDeep !== undefined) {
    const reason = "roles run in a circle from here, or more than nine deep";
    problems.push({ line: linesOfRows.g[tooDeep] ?? 0, reason });
  }
  return {
    ...lines,
    marks: marks.filter((mark) => markLines.has(mark)),
    problems: problems.sort((one, other) => one.line - other.line),
  };
}

/** What is known while the lines of a policy are read. */
interface Reading {
  readonly issuer: string;
  readonly lines: ReturnType<typeof createLines>;
  readonly problems: PolicyProblem[];
  readonly checks: LineChecks;
  /** The line of each rule and of each role assignment. */
  readonly linesOfRows: { readonly p: number[]; readonly g: number[] };
  /** By the number of a rule's id its line, or 0. */
  readonly idLines: number[];
  /** The line of each entity. */
  readonly entityLines: Map<string, number>;
  /** The line of each mark. */
  readonly markLines: Map<string, number>;
  /** Where the fields of the line that is read begin and end. */
  readonly places: Int32Array;
}

function createReading(issuer: string): Reading {
  const lines = createLines();
  return {
    issuer,
    lines,
    problems: [],
    checks: createLineChecks(lines.texts),
    linesOfRows: { p: [], g: [] },
    idLines: [],
    entityLines: new Map(),
    markLines: new Map(),
    places: new Int32Array(2 * (1 + fieldCounts.p)),
  };
}

/** Takes a p or g line that is plain and complete, as most are, without cutting it up; false where it is another. */
function takePlainLine(reading: Reading, line: number, text: string, start: number, end: number): boolean {
  const type = text[start];
  if ((type !== "p" && type !== "g") || text[start + 1] !== "," || end - start > lineCharsMax) return false;
  const { places, lines } = reading;
  const count = scanLine(text, start, end, places);
  if (count !== 1 + fieldCounts[type]) return false;
  if (type === "p" && text[places[2 * (1 + column.obj)] ?? 0] === "{") return false;
  const numbers: number[] = [];
  for (let at = 1; at < count; at++)
    numbers.push(numberOfPart(lines.texts, text, places[2 * at] ?? 0, places[2 * at + 1] ?? 0));
  takeNumbers(reading, line, type, numbers);
  return true;
}

/** Takes any line. */
function takeLine(reading: Reading, line: number, content: string): void {
  const { lines, problems, issuer } = reading;
  const row = readRow(line, content);
  if (row === undefined) return;
  if ("reason" in row) {
    problems.push(row);
    return;
  }
  const { type, fields } = resolveIssuer(row, issuer);
  if (type === "e") takeEntity(reading, line, fields);
  else if (type === "m") takeMark(reading, line, fields);
  else {
    const numbers = fields.map((field) => numberFor(lines.texts, field));
    takeNumbers(reading, line, type, numbers);
  }
}

function takeNumbers(reading: Reading, line: number, type: "p" | "g", numbers: readonly number[]): void {
  const { lines, checks, linesOfRows } = reading;
  linesOfRows[type].push(line);
  if (type === "p") {
    addRow(lines.rules, numbers);
    tell(reading, line, checks.problemsOfRule(numbers));
    const sameId = claimId(reading, numbers[column.rule] ?? 0, line);
    if (sameId > 0) tell(reading, line, [`line ${sameId} has the same rule id`]);
  } else {
    addRow(lines.roles, numbers);
    tell(reading, line, checks.problemsOfRole(numbers));
  }
}

/** Notes that a line has an id; answers the earlier line that has it already, or 0. */
function claimId({ idLines }: Reading, id: number, line: number): number {
  // Without holes, it stays a plain list.
  while (idLines.length <= id) idLines.push(0);
  const earlier = idLines[id] ?? 0;
  if (earlier === 0) idLines[id] = line;
  return earlier;
}

function takeEntity(reading: Reading, line: number, fields: readonly string[]): void {
  const reasons = problemsOfEntity(fields);
  const same = claim(reading.entityLines, fields.slice(0, 2).join("\n"), line);
  if (same !== undefined) reasons.push(`line ${same} is about the same entity`);
  tell(reading, line, reasons);
  const entity = parseEntity(fields);
  if (entity !== undefined) reading.lines.entities.push(entity);
}

function takeMark(reading: Reading, line: number, [name = ""]: readonly string[]): void {
  const same = claim(reading.markLines, name, line);
  if (same !== undefined) tell(reading, line, [`line ${same} says the same`]);
  else if (!marks.some((mark) => mark === name))
    tell(reading, line, [`a mark must be ${marks.join(" or ")}`]);
}

function tell({ problems }: Reading, line: number, reasons: readonly string[]): void {
  for (const reason of reasons) problems.push({ line, reason });
}

/** Tells of rows that are wrong beside others. */
function* tellRepetitions(reading: Reading): Work<void> {
  const { lines, linesOfRows } = reading;
  const assigned = new Map<string, number>();
  for (const row of yield* likelyAlike(lines.roles, 0, lines.roles.width)) {
    const line = linesOfRows.g[row] ?? 0;
    const same = claim(assigned, wordsOf(lines.roles, row, lines.texts).join("\n"), line);
    if (same !== undefined) tell(reading, line, [`line ${same} assigns the same role`]);
  }
  const asked = new Map<string, number>();
  const counts = new Map<string, number>();
  for (const row of yield* likelyAlike(lines.rules, column.dom, column.when)) {
    const line = linesOfRows.p[row] ?? 0;
    const fields = wordsOf(lines.rules, row, lines.texts);
    // Twice the same conditions: a repetition that blurs which line decided, or a contradiction.
    const conditions = fields.slice(column.dom, isVerdict(fields) ? column.eft : column.reason).join("\n");
    const same = claim(asked, conditions, line);
    if (same !== undefined) tell(reading, line, [`line ${same} has the same conditions`]);
    const alike = fields.slice(column.dom, column.when).join("\n");
    const count = (counts.get(alike) ?? 0) + 1;
    counts.set(alike, count);
    // Each of them is read at every request that the first one matches.
    if (count === alikeMax + 1)
      tell(reading, line, [`more than ${alikeMax} lines differ in when or eft only`]);
  }
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
  const place = { p: column.obj, e: 0, g: undefined, m: undefined }[row.type];
  const object = place === undefined ? undefined : row.fields[place];
  if (place === undefined || !object?.startsWith(issuerPlaceholder)) return row;
  return { ...row, fields: row.fields.with(place, issuer + object.slice(issuerPlaceholder.length)) };
}

/** Notes that a line has a key; answers the earlier line that has it already. */
function claim(claims: Map<string, number>, key: string, line: number): number | undefined {
  const earlier = claims.get(key);
  if (earlier === undefined) claims.set(key, line);
  return earlier;
}
