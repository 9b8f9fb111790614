import type { DecisionRequest } from "../domain/decision.ts";
import { column, isVerdict, type PolicyRule } from "./check-row.ts";
import {
  type PatternField,
  type PatternShape,
  parsePattern,
  separatorsOf,
  shapeOf,
  stemIn,
} from "./pattern.ts";

/** One way of asking about a field; a request has one answer to it, whichever line asks. */
interface Facet {
  readonly field: PatternField;
  readonly shape: PatternShape;
}

/** The rules that ask alike: the same facets, and all of them for a name or all for anybody. */
interface Group {
  /** Places in `RuleIndex.facets`, one for each field. */
  readonly facets: readonly number[];
  readonly asksName: boolean;
  /** Places in `RuleIndex.rules`, by a hash of what a rule asks for. */
  readonly places: Map<number, number[]>;
}

/** Finds the rules that can match a request without looking at the others. */
export interface RuleIndex {
  /** Denials in the order of the policy, then allowances from the last to the first, then obligations in order. */
  readonly rules: readonly PolicyRule[];
  /** A number for each text that a rule asks for: what none asks for is known by one lookup. */
  readonly numbers: ReadonlyMap<string, number>;
  readonly facets: readonly Facet[];
  readonly groups: readonly Group[];
}

const fields: readonly PatternField[] = ["dom", "rel", "obj", "act", "scope"];
const anybody = "*";
const anybodyNumber = 0;

/** Groups that an index may have, and so lookups for each name of a subject: a policy that needs more is refused. */
export const groupsMax = 512;

/** Indexes rules that parsePolicy() found fit: no two of them have the same conditions. */
export function indexRules(inPolicyOrder: readonly PolicyRule[]): RuleIndex {
  const denials = inPolicyOrder.filter((rule) => rule[column.eft] === "deny");
  const allowances = inPolicyOrder.filter((rule) => rule[column.eft] === "allow");
  // Casbin names the first denial that it reads, else the last allowance: either way the first in the policy.
  const obligations = inPolicyOrder.filter((rule) => !isVerdict(rule));
  const rules = [...denials, ...allowances.reverse(), ...obligations];
  const numbers = new Map([[anybody, anybodyNumber]]);
  const facets: Facet[] = [];
  const groups = new Map<string, Group>();
  for (const [place, rule] of rules.entries()) {
    const asks = fields.map((field) => askOf(rule, field));
    const name = rule[column.sub] ?? anybody;
    const asksName = name !== anybody;
    const facetPlaces = asks.map(({ facet }) => placeOf(facet, facets));
    const groupKey = `${facetPlaces} ${asksName}`;
    const group = groups.get(groupKey) ?? { facets: facetPlaces, asksName, places: new Map() };
    groups.set(groupKey, group);
    const texts = [...asks.map(({ stem }) => stem), name];
    const hash = texts.reduce((mixed, text) => mix(mixed, numberFor(text, numbers)), 0);
    const places = group.places.get(hash);
    if (places === undefined) group.places.set(hash, [place]);
    else places.push(place);
  }
  return { rules, numbers, facets, groups: [...groups.values()] };
}

/**
 * The rules that can match the request, in the order of `RuleIndex.rules`: all that do match, and some that do not,
 * which Casbin passes over. One lookup for each group and name, however many rules there are.
 */
export function candidatesFor(
  index: RuleIndex,
  request: DecisionRequest,
  names: ReadonlySet<string>,
): PolicyRule[] {
  const answers = index.facets.map(({ field, shape }) =>
    index.numbers.get(stemIn(valueIn(request, field), shape, separatorsOf[field])),
  );
  const nameNumbers = [...names].flatMap((name) => index.numbers.get(name) ?? []);
  const found: number[] = [];
  for (const { facets, asksName, places } of index.groups) {
    const hash = hashOf(facets, answers);
    if (hash === undefined) continue;
    for (const name of asksName ? nameNumbers : [anybodyNumber]) {
      for (const place of places.get(mix(hash, name)) ?? []) found.push(place);
    }
  }
  const rules: PolicyRule[] = [];
  for (const place of found.sort((one, other) => one - other)) {
    const rule = index.rules[place];
    if (rule !== undefined) rules.push(rule);
  }
  return rules;
}

function askOf(rule: PolicyRule, field: PatternField): { readonly facet: Facet; readonly stem: string } {
  const separators = separatorsOf[field];
  const pattern = parsePattern(rule[column[field]] ?? "", separators);
  if (pattern === undefined) throw new TypeError(`a rule without a legal ${field} was not refused`);
  return { facet: { field, shape: shapeOf(pattern, separators) }, stem: pattern.stem };
}

function placeOf(facet: Facet, facets: Facet[]): number {
  const place = facets.findIndex(({ field, shape }) => field === facet.field && shape === facet.shape);
  return place === -1 ? facets.push(facet) - 1 : place;
}

function numberFor(text: string, numbers: Map<string, number>): number {
  const known = numbers.get(text);
  if (known !== undefined) return known;
  numbers.set(text, numbers.size);
  return numbers.size - 1;
}

function valueIn(request: DecisionRequest, field: PatternField): string {
  switch (field) {
    case "dom":
      return request.organization;
    case "rel":
      return request.relation;
    case "obj":
      return request.resource;
    case "act":
      return request.action;
    case "scope":
      return request.scope;
  }
}

/** Hash of the request's answers to a group's facets; undefined when no rule asks for one of them. */
function hashOf(facets: readonly number[], answers: readonly (number | undefined)[]): number | undefined {
  let hash = 0;
  for (const facet of facets) {
    const answer = answers[facet];
    if (answer === undefined) return undefined;
    hash = mix(hash, answer);
  }
  return hash;
}

// A collision makes a candidate that does not match, and costs Casbin a glance: never a decision.
function mix(hash: number, number: number): number {
  const mixed = Math.imul(hash ^ number, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
