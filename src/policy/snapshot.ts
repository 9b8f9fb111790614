import { createHash } from "node:crypto";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { createEnforce, type Enforce, indexedModel, problemOfModel } from "./casbin.ts";
import { type Catalogue, catalogueOf } from "./catalogue.ts";
import { type EntityIndex, indexEntities } from "./entities.ts";
import {
  type Mark,
  type ParsedPolicy,
  type PolicyLines,
  type PolicyProblem,
  parsePolicy,
} from "./parse-policy.ts";
import { recordedLines } from "./recorded-lines.ts";
import { indexRoles, type RoleIndex } from "./roles.ts";
import { groupsMax, indexRules, type RuleIndex } from "./rule-index.ts";

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
  /** base64url SHA-256 of `text`. */
  readonly hash: string;
  /** Canonical JSON of the model and of every line with `{issuer}` resolved: all that decisions depend on. */
  readonly text: string;
  readonly rules: RuleIndex;
  readonly roles: RoleIndex;
  readonly entities: EntityIndex;
  readonly catalogue: Catalogue;
  readonly marks: readonly Mark[];
  readonly enforce: Enforce;
}

const problemsTold = 20;

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
 * Makes a snapshot of a policy.
 *
 * @throws PolicyRefused naming every line that is wrong, and why
 */
export async function loadPolicy(source: PolicySource): Promise<PolicySnapshot> {
  const { index, problems, ...lines } = readPolicy(source);
  if (index === undefined) throw new PolicyRefused(problems);
  return snapshotOf(textOf(lines), lines, index);
}

/**
 * Makes a snapshot of a version that was recorded, by its canonical text.
 *
 * @throws TypeError for a text that no version of ours has
 */
export async function loadRecordedPolicy(text: string): Promise<PolicySnapshot> {
  const lines = recordedLines(text);
  return snapshotOf(text, lines, indexRules(lines.rules));
}

async function snapshotOf(
  text: string,
  { roles, entities, marks }: PolicyLines,
  index: RuleIndex,
): Promise<PolicySnapshot> {
  return {
    hash: createHash("sha256").update(text).digest("base64url"),
    text,
    rules: index,
    roles: indexRoles(roles),
    entities: indexEntities(entities),
    catalogue: catalogueOf(index.rules, entities),
    marks,
    enforce: await createEnforce(),
  };
}

function textOf({ rules, roles, entities, marks }: PolicyLines): string {
  return canonicalJson({
    model: indexedModel,
    rules,
    roles: roles.map(({ user, role, domain }) => [user, role, domain]),
    entities: entities.map(({ name, domain, attributes }) => [name, domain, attributes]),
    // Without one the text is as it was before there were marks: its hash stands.
    ...(marks.length > 0 && { marks: [...marks] }),
  });
}

interface ReadPolicy extends ParsedPolicy {
  /** Absent when there are problems. */
  readonly index?: RuleIndex;
}

/** Reads a policy and tells everything that is wrong with it. */
export function readPolicy({ model, policy, issuer }: PolicySource): ReadPolicy {
  const parsed = parsePolicy(policy, issuer);
  const problemWithModel = problemOfModel(model);
  if (problemWithModel !== undefined) return withProblem(parsed, problemWithModel);
  if (parsed.problems.length > 0) return parsed;
  const index = indexRules(parsed.rules);
  if (index.groups.length <= groupsMax) return { ...parsed, index };
  return withProblem(parsed, `it mixes wildcards in more than ${groupsMax} ways`);
}

function withProblem(parsed: ParsedPolicy, reason: string): ReadPolicy {
  return { ...parsed, problems: [{ line: 0, reason }, ...parsed.problems] };
}
