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
import { firstPlace, indexPlaces, mix, nextPlace, type Places } from "./places.ts";
import { addText, numberFor, type Texts } from "./texts.ts";
import { eachOf, type Work } from "./work.ts";

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
}

/** Finds the rules that can match a request without looking at the others. */
export interface RuleIndex {
  /** What a rule asks for has a number in it: what none asks for is mostly known by one lookup. */
  readonly texts: Texts;
  /**
   * The fields of each rule as numbers of texts: denials in the order of the policy, then allowances from the last to the
   * first, then obligations in order.
   */
  readonly cells: Uint32Array;
  readonly facets: readonly Facet[];
  readonly groups: readonly Group[];
  /** Rules by a hash of their group and of what they ask for. */
  readonly places: Places;
}

/** What a field asks for: how, as a place in the facets, and the number of the text to be found. */
interface Ask {
  readonly facet: number;
  readonly stem: number;
}

const fields: readonly PatternField[] = ["dom", "rel", "obj", "act", "scope"];
const width = Object.keys(column).length;
const anybody = "*";

/** Groups that an index may have, and so lookups for each name of a subject: a policy that needs more is refused. */
export const groupsMax = 512;

/** Indexes rules that parsePolicy() found fit: no two of them have the same conditions. */
export function* indexRules(inPolicyOrder: readonly PolicyRule[], texts: Texts): Work<RuleIndex> {
  const denials = inPolicyOrder.filter((rule) => rule[column.eft] === "deny");
  const allowances = inPolicyOrder.filter((rule) => rule[column.eft] === "allow");
  // Casbin names the first denial that it reads, else the last allowance: either way the first in the policy.
  const obligations = inPolicyOrder.filter((rule) => !isVerdict(rule));
  const rules = [...denials, ...allowances.reverse(), ...obligations];
  const cells = new Uint32Array(rules.length * width);
  const hashes = new Int32Array(rules.length);
  const facets: Facet[] = [];
  const asks = fields.map((field) => ({ field, known: new Map<number, Ask>() }));
  const groups = new Map<string, Group & { readonly number: number }>();
  numberFor(texts, anybody);
  yield* eachOf(rules, (rule, place) => {
    for (const [at, text] of rule.entries())
      cells[place * width + at] = at === column.rule ? addText(texts, text) : numberFor(texts, text);
    const asked = asks.map(({ field, known }) => {
      const number = cells[place * width + column[field]] ?? 0;
      const ask = known.get(number) ?? askOf(rule[column[field]] ?? "", field, facets, texts);
      known.set(number, ask);
      return ask;
    });
    const asksName = rule[column.sub] !== anybody;
    const key = `${asked.map(({ facet }) => facet)} ${asksName}`;
    const group = groups.get(key) ?? {
      facets: asked.map(({ facet }) => facet),
      asksName,
      number: groups.size,
    };
    groups.set(key, group);
    const hash = asked.reduce((mixed, { stem }) => mix(mixed, stem), mix(0, group.number));
    hashes[place] = mix(hash, cells[place * width + column.sub] ?? 0);
  });
  return { texts, cells, facets, groups: [...groups.values()], places: indexPlaces(hashes) };
}

/**
 * The rules that can match the request, in the order of the index: all that do match, and some that do not, which
 * Casbin passes over. One lookup for each group and name, however many rules there are.
 */
export function candidatesFor(
  index: RuleIndex,
  request: DecisionRequest,
  names: ReadonlySet<string>,
): PolicyRule[] {
  const { texts, places } = index;
  const answers = index.facets.map(({ field, shape }) =>
    texts.numbers.get(stemIn(valueIn(request, field), shape, separatorsOf[field])),
  );
  const nameNumbers = [...names].flatMap((name) => texts.numbers.get(name) ?? []);
  const anybodyNumbers = [texts.numbers.get(anybody) ?? 0];
  const found: number[] = [];
  for (const [number, { facets, asksName }] of index.groups.entries()) {
    const hash = hashOf(number, facets, answers);
    if (hash === undefined) continue;
    for (const name of asksName ? nameNumbers : anybodyNumbers) {
      let place = firstPlace(places, mix(hash, name));
      for (; place >= 0; place = nextPlace(places, place)) found.push(place);
    }
  }
  found.sort((one, other) => one - other);
  // Where hashes collide, two lookups find one rule; it obliges once.
  return found.filter((place, at) => place !== found[at - 1]).map((place) => ruleAt(index, place));
}

/** Every rule, in the order of the index. */
export function* rulesIn(index: RuleIndex): Iterable<PolicyRule> {
  for (let place = 0; place < index.places.hashes.length; place++) yield ruleAt(index, place);
}

/** The rule at a place, as Casbin is handed it. */
function ruleAt({ texts, cells }: RuleIndex, place: number): PolicyRule {
  const rule: PolicyRule = [];
  for (let at = place * width; at < (place + 1) * width; at++) rule.push(texts.all[cells[at] ?? 0] ?? "");
  return rule;
}

function askOf(text: string, field: PatternField, facets: Facet[], texts: Texts): Ask {
  const separators = separatorsOf[field];
  const pattern = parsePattern(text, separators);
  if (pattern === undefined) throw new TypeError(`a rule without a legal ${field} was not refused`);
  const facet = placeOf({ field, shape: shapeOf(pattern, separators) }, facets);
  return { facet, stem: numberFor(texts, pattern.stem) };
}

function placeOf(facet: Facet, facets: Facet[]): number {
  const place = facets.findIndex(({ field, shape }) => field === facet.field && shape === facet.shape);
  return place === -1 ? facets.push(facet) - 1 : place;
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

/** Hash of a group and the request's answers to its facets; undefined when no rule asks for one of them. */
function hashOf(
  group: number,
  facets: readonly number[],
  answers: readonly (number | undefined)[],
): number | undefined {
  let hash = mix(0, group);
  for (const facet of facets) {
    const answer = answers[facet];
    if (answer === undefined) return undefined;
    hash = mix(hash, answer);
  }
  return hash;
}
