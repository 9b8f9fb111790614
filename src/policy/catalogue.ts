import { parseEntityName } from "@countersign/sdk/model/entity";
import { column } from "./check-row.ts";
import type { Entity } from "./entities.ts";
import { covers, parsePattern, separatorsOf } from "./pattern.ts";
import { cellOf } from "./rows.ts";
import type { RuleIndex } from "./rule-index.ts";
import { eachBelow, type Work } from "./work.ts";

/** What a policy knows by name, in order: what a search looks at. */
export interface Catalogue {
  /** Ids of entities by `<organization or *> <type>`. */
  readonly ids: ReadonlyMap<string, readonly string[]>;
  /** The scopes that lines about AuthZEN's questions name, by organization (or `*`). */
  readonly scopes: ReadonlyMap<string, readonly string[]>;
}

/** Makes the catalogue of a policy's lines. */
export function* catalogueOf(index: RuleIndex, entities: readonly Entity[]): Work<Catalogue> {
  const named = entities.filter(({ name }) => parseEntityName(name) !== undefined);
  const ids = Map.groupBy(named, ({ name, domain }) => `${domain} ${name.slice(0, name.indexOf(":"))}`);
  const asked = yield* scopesAsked(index);
  return {
    ids: eachInOrder(ids, ({ name }) => name.slice(name.indexOf(":") + 1)),
    scopes: eachInOrder(asked, (scope) => scope),
  };
}

function* scopesAsked({ rules, texts }: RuleIndex): Work<ReadonlyMap<string, readonly string[]>> {
  const scopes = new Map<string, string[]>();
  yield* eachBelow(rules.count, (place) => {
    const textAt = (at: number) => texts.all[cellOf(rules, place, at)] ?? "";
    if (!covers(textAt(column.act), "access.evaluate", separatorsOf.act)) return;
    const scope = textAt(column.scope);
    if (parsePattern(scope, separatorsOf.scope)?.kind !== "exact") return;
    const those = scopes.get(textAt(column.dom));
    if (those === undefined) scopes.set(textAt(column.dom), [scope]);
    else those.push(scope);
  });
  return scopes;
}

/** Up to `limit` ids, behind one of them, of the entities of a type that an organization's policy knows. */
export function entityIdsAfter(
  { ids }: Catalogue,
  of: { readonly organization: string; readonly type: string },
  { after, limit }: { readonly after: string; readonly limit: number },
): readonly string[] {
  const found = ["*", of.organization].flatMap((domain) => {
    const all = ids.get(`${domain} ${of.type}`) ?? [];
    const from = placeBehind(all, after);
    return all.slice(from, from + limit);
  });
  return inOrder(found).slice(0, limit);
}

/** The scopes that an organization's policy names exactly. */
export function scopesNamed({ scopes }: Catalogue, organization: string): readonly string[] {
  return inOrder([...(scopes.get("*") ?? []), ...(scopes.get(organization) ?? [])]);
}

function eachInOrder<Line>(
  lines: ReadonlyMap<string, readonly Line[]>,
  textOf: (line: Line) => string,
): ReadonlyMap<string, readonly string[]> {
  return new Map([...lines].map(([key, those]) => [key, inOrder(those.map(textOf))]));
}

function inOrder(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].sort();
}

/** The place of the first text behind `after`, by halving: a policy may know a million. */
function placeBehind(texts: readonly string[], after: string): number {
  let [from, to] = [0, texts.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((texts[middle] ?? "") > after) to = middle;
    else from = middle + 1;
  }
  return from;
}
