import type { DecisionRequest } from "../domain/decision.ts";
import { firstPlace, indexPlaces, mix, nextPlace, type Places } from "./places.ts";
import { cellOf, type Rows } from "./rows.ts";
import { findNumber, type Texts } from "./texts.ts";
import { eachBelow, type Work } from "./work.ts";

/** That `user`, itself a subject or a role, has a role in an organization, or in all (`*`). */
export interface RoleAssignment {
  readonly user: string;
  readonly role: string;
  readonly domain: string;
}

/** The roles given directly, found by who has them and in which organization (or `*`). */
export interface RoleIndex {
  readonly texts: Texts;
  /** Of each assignment the numbers of who has the role, of the role, and of the domain. */
  readonly assignments: Rows;
  /** Assignments by a hash of who and where. */
  readonly places: Places;
}

/** Place of each field in a role assignment. */
const at = { user: 0, role: 1, domain: 2 } as const;

/** Indexes role assignments, so that namesOf() takes time by what a subject has, not by how many there are. */
export function* indexRoles(assignments: Rows, texts: Texts): Work<RoleIndex> {
  const hashes = new Int32Array(assignments.count);
  yield* eachBelow(assignments.count, (place) => {
    hashes[place] = mix(cellOf(assignments, place, at.domain), cellOf(assignments, place, at.user));
  });
  const { count, width, cells } = assignments;
  return {
    texts,
    assignments: { count, width, cells: cells.slice(0, count * width) },
    places: indexPlaces(hashes),
  };
}

/** Every name by which a rule may mean the request's subject: its own, its roles, and in turn the roles of these. */
export function namesOf(
  index: RoleIndex,
  { organization, subject, roles }: DecisionRequest,
): ReadonlySet<string> {
  const names = new Set([subject, ...roles]);
  const domains = [organization, "*"].flatMap((domain) => findNumber(index.texts, domain) ?? []);
  // A Set hands out what is added while it is walked: roles of roles are reached, and a circle ends.
  for (const name of names) {
    const user = findNumber(index.texts, name);
    if (user === undefined) continue;
    for (const domain of domains) addRoles(index, user, domain, names);
  }
  return names;
}

function addRoles(index: RoleIndex, user: number, domain: number, names: Set<string>): void {
  const { texts, assignments, places } = index;
  let place = firstPlace(places, mix(domain, user));
  for (; place >= 0; place = nextPlace(places, place)) {
    // Another's roles may have the same hash.
    if (cellOf(assignments, place, at.user) !== user || cellOf(assignments, place, at.domain) !== domain)
      continue;
    const role = texts.all[cellOf(assignments, place, at.role)];
    if (role !== undefined) names.add(role);
  }
}

/** The domains that roles are assigned in. */
export function domainsOf({ texts, assignments }: RoleIndex): ReadonlySet<string> {
  const domains = new Set<string>();
  for (let place = 0; place < assignments.count; place++)
    domains.add(texts.all[cellOf(assignments, place, at.domain)] ?? "");
  return domains;
}

// Stock Casbin follows ten links and sees no role behind them; the first may lead to a role of the request.
const linksMax = 9;

/** The first assignment from which more than nine lead on in a chain, or some in a circle; undefined when none. */
export function* findTooDeep(assignments: Rows): Work<number | undefined> {
  const users = new Int32Array(assignments.count);
  yield* eachBelow(assignments.count, (place) => {
    users[place] = cellOf(assignments, place, at.user);
  });
  const places = indexPlaces(users);
  const heights = new Map<number, number>();
  const heightOf = (user: number, linksAbove: number): number => {
    const known = heights.get(user);
    if (known !== undefined) return known;
    if (linksAbove > linksMax) return 0;
    // Whoever is met again before their height is known stands in a circle.
    heights.set(user, Number.POSITIVE_INFINITY);
    let height = 0;
    for (let place = firstPlace(places, user); place >= 0; place = nextPlace(places, place))
      height = Math.max(height, 1 + heightOf(cellOf(assignments, place, at.role), linksAbove + 1));
    heights.set(user, height);
    return height;
  };
  let tooDeep: number | undefined;
  yield* eachBelow(assignments.count, (place) => {
    if (tooDeep === undefined && heightOf(users[place] ?? 0, 0) > linksMax) tooDeep = place;
  });
  return tooDeep;
}
