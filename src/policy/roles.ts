import type { DecisionRequest } from "../domain/decision.ts";
import { firstPlace, indexPlaces, mix, nextPlace, type Places } from "./places.ts";
import { numberFor, type Texts } from "./texts.ts";
import { eachOf, type Work } from "./work.ts";

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
  readonly cells: Uint32Array;
  /** Assignments by a hash of who and where. */
  readonly places: Places;
}

const cellsEach = 3;

/** Indexes role assignments, so that namesOf() takes time by what a subject has, not by how many there are. */
export function* indexRoles(assignments: readonly RoleAssignment[], texts: Texts): Work<RoleIndex> {
  const cells = new Uint32Array(assignments.length * cellsEach);
  const hashes = new Int32Array(assignments.length);
  yield* eachOf(assignments, ({ user, role, domain }, place) => {
    const [userNumber, domainNumber] = [numberFor(texts, user), numberFor(texts, domain)];
    cells.set([userNumber, numberFor(texts, role), domainNumber], place * cellsEach);
    hashes[place] = mix(domainNumber, userNumber);
  });
  return { texts, cells, places: indexPlaces(hashes) };
}

/** Every name by which a rule may mean the request's subject: its own, its roles, and in turn the roles of these. */
export function namesOf(
  index: RoleIndex,
  { organization, subject, roles }: DecisionRequest,
): ReadonlySet<string> {
  const names = new Set([subject, ...roles]);
  const { numbers } = index.texts;
  const domains = [numbers.get(organization), numbers.get("*")].filter((domain) => domain !== undefined);
  // A Set hands out what is added while it is walked: roles of roles are reached, and a circle ends.
  for (const name of names) {
    const user = numbers.get(name);
    if (user === undefined) continue;
    for (const domain of domains) addRoles(index, user, domain, names);
  }
  return names;
}

function addRoles(
  { texts, cells, places }: RoleIndex,
  user: number,
  domain: number,
  names: Set<string>,
): void {
  let place = firstPlace(places, mix(domain, user));
  for (; place >= 0; place = nextPlace(places, place)) {
    const at = place * cellsEach;
    // Another's roles may have the same hash.
    if (cells[at] !== user || cells[at + 2] !== domain) continue;
    const role = texts.all[cells[at + 1] ?? 0];
    if (role !== undefined) names.add(role);
  }
}

/** The domains that roles are assigned in. */
export function domainsOf({ texts, cells }: RoleIndex): ReadonlySet<string> {
  const domains = new Set<string>();
  for (let at = 2; at < cells.length; at += cellsEach) domains.add(texts.all[cells[at] ?? 0] ?? "");
  return domains;
}

// Stock Casbin follows ten links and sees no role behind them; the first may lead to a role of the request.
const linksMax = 9;

/** The first assignment from which more than nine lead on in a chain, or some in a circle; undefined when none. */
export function* findTooDeep<Assignment extends RoleAssignment>(
  all: readonly Assignment[],
): Work<Assignment | undefined> {
  const rolesByUser = new Map<string, string[]>();
  yield* eachOf(all, ({ user, role }) => {
    const roles = rolesByUser.get(user);
    if (roles === undefined) rolesByUser.set(user, [role]);
    else roles.push(role);
  });
  const heights = new Map<string, number>();
  const heightOf = (user: string, linksAbove: number): number => {
    const known = heights.get(user);
    if (known !== undefined) return known;
    if (linksAbove > linksMax) return 0;
    // Whoever is met again before their height is known stands in a circle.
    heights.set(user, Number.POSITIVE_INFINITY);
    let height = 0;
    for (const role of rolesByUser.get(user) ?? [])
      height = Math.max(height, 1 + heightOf(role, linksAbove + 1));
    heights.set(user, height);
    return height;
  };
  let tooDeep: Assignment | undefined;
  yield* eachOf(all, (one) => {
    if (heightOf(one.user, 0) > linksMax) tooDeep ??= one;
  });
  return tooDeep;
}
