import type { DecisionRequest } from "../domain/decision.ts";

/** That `user`, itself a subject or a role, has a role in an organization, or in all (`*`). */
export interface RoleAssignment {
  readonly user: string;
  readonly role: string;
  readonly domain: string;
}

/** The roles given directly, by organization (or `*`), then by who has them. */
export type RoleIndex = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;

/** Indexes role assignments, so that namesOf() takes time by what a subject has, not by how many there are. */
export function indexRoles(assignments: readonly RoleAssignment[]): RoleIndex {
  const index = new Map<string, Map<string, string[]>>();
  for (const { user, role, domain } of assignments) {
    const rolesByUser = index.get(domain) ?? new Map<string, string[]>();
    index.set(domain, rolesByUser);
    const roles = rolesByUser.get(user);
    if (roles === undefined) rolesByUser.set(user, [role]);
    else roles.push(role);
  }
  return index;
}

/** Every name by which a rule may mean the request's subject: its own, its roles, and in turn the roles of these. */
export function namesOf(
  index: RoleIndex,
  { organization, subject, roles }: DecisionRequest,
): ReadonlySet<string> {
  const names = new Set([subject, ...roles]);
  const here = index.get(organization);
  const everywhere = index.get("*");
  // A Set hands out what is added while it is walked: roles of roles are reached, and a circle ends.
  for (const name of names) {
    for (const role of here?.get(name) ?? []) names.add(role);
    for (const role of everywhere?.get(name) ?? []) names.add(role);
  }
  return names;
}

// Stock Casbin follows ten links and sees no role behind them; the first may lead to a role of the request.
const linksMax = 9;

/** The first assignment from which more than nine lead on in a chain, or some in a circle; undefined when none. */
export function findTooDeep<Assignment extends RoleAssignment>(
  all: readonly Assignment[],
): Assignment | undefined {
  const rolesByUser = indexRoles(all.map(({ user, role }) => ({ user, role, domain: "*" }))).get("*");
  const heights = new Map<string, number>();
  const heightOf = (user: string, linksAbove: number): number => {
    const known = heights.get(user);
    if (known !== undefined) return known;
    if (linksAbove > linksMax) return 0;
    // Whoever is met again before their height is known stands in a circle.
    heights.set(user, Number.POSITIVE_INFINITY);
    let height = 0;
    for (const role of rolesByUser?.get(user) ?? [])
      height = Math.max(height, 1 + heightOf(role, linksAbove + 1));
    heights.set(user, height);
    return height;
  };
  return all.find(({ user }) => heightOf(user, 0) > linksMax);
}
