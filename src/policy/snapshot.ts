import { createHash } from "node:crypto";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { createEnforce, type Enforce, indexedModel, problemOfModel } from "./casbin.ts";
import { type Catalogue, catalogueOf } from "./catalogue.ts";
import { type EntityIndex, indexEntities } from "./entities.ts";
import {
  linesOf,
  type Mark,
  type NumberedLines,
  type ParsedPolicy,
  type PolicyProblem,
  type ReadLines,
  readLines,
} from "./parse-policy.ts";
import { recordedLines } from "./recorded-lines.ts";
import { indexRoles, type RoleIndex } from "./roles.ts";
import { type Rows, wordsOf } from "./rows.ts";
import { groupsMax, indexRules, type RuleIndex } from "./rule-index.ts";
import type { Texts } from "./texts.ts";
import { doAtOnce, doInSlices, linesAPiece, type Work } from "./work.ts";

/** The texts that a policy consists of. */
export interface PolicySource {
  /** Casbin's model: policies/model.conf. */
  readonly model: string;
  /** Rules and role assignments: policies/default.csv or its like. */
  readonly policy: string;
  /** The server's own URL, without a slash at its end: what `{issuer}` stands for. */
  readonly issuer: string;
}

/** One version of the policy, ready to decide by. It never changes; a new version is a new snapshot. */
export interface PolicySnapshot {
  /** base64url SHA-256 of its canonical text. */
  readonly hash: string;
  readonly rules: RuleIndex;
  readonly roles: RoleIndex;
  readonly entities: EntityIndex;
  readonly catalogue: Catalogue;
  readonly marks: readonly Mark[];
  readonly enforce: Enforce;
}

/** A snapshot as it was written: with the text that its hash is of, which a version that is decided by can do without. */
export interface WrittenPolicy extends PolicySnapshot {
  /** Canonical JSON of the model and of every line with `{issuer}` resolved: all that decisions depend on. */
  readonly text: string;
}

const problemsTold = 20;
const charsAtOnce = 2 ** 18;

/** A policy is not fit for use; the one in force stays. The message has a line for each of the first 20 problems. */
export class PolicyRefused extends Error {
  override readonly name = "PolicyRefused";
  readonly problems: readonly PolicyProblem[];

  constructor(problems: readonly PolicyProblem[]) {
    const told = problems.slice(0, problemsTold);
    super(told.map(({ line, reason }) => (line === 0 ? reason : `line ${line}: ${reason}`)).join("\n"));
    this.problems = problems;
  }
}

/**
 * Makes a snapshot of a policy, in slices: decisions are made meanwhile.
 *
 * @throws PolicyRefused naming every line that is wrong, and why
 */
export async function loadPolicy(source: PolicySource): Promise<WrittenPolicy> {
  const { index, problems, ...lines } = await doInSlices(read(source));
  if (index === undefined) throw new PolicyRefused(problems);
  const text = await doInSlices(textOf(lines));
  return { ...(await snapshotOf(text, lines, index)), text };
}

/**
 * Makes a snapshot of a version that was recorded, by its canonical text, in slices.
 *
 * @throws TypeError for a text that no version of ours has
 */
export async function loadRecordedPolicy(text: string): Promise<PolicySnapshot> {
  const lines = await doInSlices(recordedLines(text));
  return snapshotOf(text, lines, await doInSlices(indexRules(lines.rules, lines.texts)));
}

async function snapshotOf(
  text: string,
  { texts, roles, entities, marks }: NumberedLines,
  index: RuleIndex,
): Promise<PolicySnapshot> {
  return {
    hash: await doInSlices(hashOf(text)),
    rules: index,
    roles: await doInSlices(indexRoles(roles, texts)),
    entities: indexEntities(entities),
    catalogue: await doInSlices(catalogueOf(index, entities)),
    marks,
    enforce: await createEnforce(),
  };
}

function* textOf({ texts, rules, roles, entities, marks }: NumberedLines): Work<string> {
  const others = canonicalJson({
    entities: entities.map(({ name, domain, attributes }) => [name, domain, attributes]),
    model: indexedModel,
    // Without one the text is as it was before there were marks: its hash stands.
    ...(marks.length > 0 && { marks: [...marks] }),
  });
  // Members in canonical order.
  const parts = [others.slice(0, -1), ',"roles":['];
  yield* addJson(parts, roles, texts);
  parts.push('],"rules":[');
  yield* addJson(parts, rules, texts);
  parts.push("]}");
  return parts.join("");
}

/** Adds rows as lists of texts. Well-formed texts have one spelling in JSON, and readLines() refuses others. */
function* addJson(parts: string[], rows: Rows, texts: Texts): Work<void> {
  let some: string[][] = [];
  for (let row = 0; row < rows.count; row++) {
    some.push(wordsOf(rows, row, texts));
    if (some.length < linesAPiece && row < rows.count - 1) continue;
    parts.push(row < linesAPiece ? "" : ",", JSON.stringify(some).slice(1, -1));
    some = [];
    yield;
  }
}

function* hashOf(text: string): Work<string> {
  const hash = createHash("sha256");
  for (let start = 0; start < text.length; ) {
    // A character beyond the first plane is two units of a text: both are hashed at once.
    let end = start + charsAtOnce;
    if (isLowSurrogate(text.charCodeAt(end))) end++;
    hash.update(text.slice(start, end));
    start = end;
    yield;
  }
  return hash.digest("base64url");
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

interface ReadPolicy extends ParsedPolicy {
  /** Absent when there are problems. */
  readonly index?: RuleIndex;
}

interface IndexedLines extends ReadLines {
  /** Absent when there are problems. */
  readonly index?: RuleIndex;
}

/** Reads a policy and tells everything that is wrong with it. */
export function readPolicy(source: PolicySource): ReadPolicy {
  const { problems, index, ...lines } = doAtOnce(read(source));
  return { ...linesOf(lines), problems, ...(index && { index }) };
}

function* read({ model, policy, issuer }: PolicySource): Work<IndexedLines> {
  const lines = yield* readLines(policy, issuer);
  const problemWithModel = problemOfModel(model);
  if (problemWithModel !== undefined) return withProblem(lines, problemWithModel);
  if (lines.problems.length > 0) return lines;
  const index = yield* indexRules(lines.rules, lines.texts);
  if (index.groups.length <= groupsMax) return { ...lines, index };
  return withProblem(lines, `it mixes wildcards in more than ${groupsMax} ways`);
}

function withProblem(lines: ReadLines, reason: string): IndexedLines {
  return { ...lines, problems: [{ line: 0, reason }, ...lines.problems] };
}
