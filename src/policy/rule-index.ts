import type { DecisionRequest } from "../domain/decision.ts";
import { column, type PolicyRule } from "./check-row.ts";
import {
  type PatternField,
  type PatternShape,
  parsePattern,
  separatorsOf,
  shapeOf,
  stemIn,
} from "./pattern.ts";
import { firstPlace, indexPlaces, mix, nextPlace, type Places } from "./places.ts";
import { addWords, cellOf, createRows, type Rows, wordsOf } from "./rows.ts";
import { createTexts, findNumber, numberFor, type Texts } from "./texts.ts";
import { doAtOnce, eachBelow, type Work } from "./work.ts";

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
  readonly rules: Rows;
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
export function* indexRules(rules: Rows, texts: Texts): Work<RuleIndex> {
  const order = yield* orderOf(rules, texts);
  const cells = new Uint32Array(order.length * width);
  const hashes = new Int32Array(order.length);
  const facets: Facet[] = [];
  const asks = fields.map((field) => ({ field, known: new Map<number, Ask>() }));
  const groups = new Map<string, Group & { readonly number: number }>();
  const anybodyNumber = numberFor(texts, anybody);
  yield* eachBelow(order.length, (place) => {
    const rule = order[place] ?? 0;
    for (let at = 0; at < width; at++) cells[place * width + at] = cellOf(rules, rule, at);
    const asked = asks.map(({ field, known }) => {
      const number = cellOf(rules, rule, column[field]);
      const ask = known.get(number) ?? askOf(texts.all[number] ?? "", field, facets, texts);
      known.set(number, ask);
      return ask;
    });
    const name = cellOf(rules, rule, column.sub);
    const asksName = name !== anybodyNumber;
    const shape = asked.map(({ facet }) => facet);
    const key = `${shape.join()} ${asksName}`;
    const group = groups.get(key) ?? { facets: shape, asksName, number: groups.size };
    groups.set(key, group);
    hashes[place] = mix(
      asked.reduce((mixed, { stem }) => mix(mixed, stem), mix(0, group.number)),
      name,
    );
  });
  return {
    texts,
    rules: { width, count: order.length, cells },
    facets,
    groups: [...groups.values()],
    places: indexPlaces(hashes),
  };
}

/** Indexes a few rules of a policy, in its order. */
export function indexThese(inPolicyOrder: readonly PolicyRule[]): RuleIndex {
  const texts = createTexts();
  const rules = createRows(width);
  for (const rule of inPolicyOrder) addWords(rules, rule, texts);
  return doAtOnce(indexRules(rules, texts));
}

/** The rules as the index lays them before Casbin, which names the first denial that it reads, else the last allowance. */
function* orderOf(rules: Rows, texts: Texts): Work<readonly number[]> {
  const [deny, allow] = [numberFor(texts, "deny"), numberFor(texts, "allow")];
  const denials: number[] = [];
  const allowances: number[] = [];
  const obligations: number[] = [];
  yield* eachBelow(rules.count, (rule) => {
    const effect = cellOf(rules, rule, column.eft);
    if (effect === deny) denials.push(rule);
    else if (effect === allow) allowances.push(rule);
    else obligations.push(rule);
  });
  // Either way it names the first in the policy.
  return [...denials, ...allowances.reverse(), ...obligations];
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
    findNumber(texts, stemIn(valueIn(request, field), shape, separatorsOf[field])),
  );
  const nameNumbers = [...names].flatMap((name) => findNumber(texts, name) ?? []);
  const anybodyNumbers = [findNumber(texts, anybody) ?? 0];
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
  return found
    .filter((place, at) => place !== found[at - 1])
    .map((place) => wordsOf(index.rules, place, index.texts));
}

/** Every rule, in the order of the index. */
export function* rulesIn(index: RuleIndex): Iterable<PolicyRule> {
  for (let place = 0; place < index.rules.count; place++) yield wordsOf(index.rules, place, index.texts);
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
