import { parseOrganizationId } from "@countersign/sdk/model/ids";
import { type DecisionRequest, decisionActions, relations } from "../../src/domain/decision.ts";

/** Numbers from 0 up to 1 that are the same in every run. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A policy's rows, and for each subject the roles that its requests name. */
export interface RandomPolicy {
  readonly rules: readonly string[][];
  readonly assignments: readonly string[][];
  readonly ownRoles: ReadonlyMap<string, readonly string[]>;
}

const organizations = ["org-a", "org-b", "org-c"];
const agents = ["agt_1", "agt_2", "agt_3"];
const roles = ["role-1", "role-2", "role-3", "role-4", "role-5", "role-6"];
const ownRoleNames = ["agent", "kind:worker", "role-1", "role-3"];
const objects = [
  "https://a.example",
  "https://a.example/x",
  "https://a.example/x/y",
  "https://b.example/x",
  "urn:c:d",
];
const scopes = ["mail.read", "mail.send", "mail.read:all", "mail.read.all", "repo:main:read", "files/in/a"];

const rulePool = {
  dom: organizations,
  sub: [...agents, ...roles, "role-top", ...ownRoleNames],
  rel: ["delegated", "delegated", "direct"],
  obj: [...objects, "https://a.example/*", "https://a.example/**", "https://a.example/x/*", "urn:c:d/**"],
  act: ["token.issue", "token.exchange", "token.*", "token.**", "delegation.*", "delegation.**"],
  scope: [...scopes, "mail.*", "mail.**", "mail.read.*", "repo:**", "repo:main:*", "files/**"],
};
// Beside what rules name: what wildcards must not cover, and what nobody named.
const requestedObjects = [
  ...objects,
  ...objects,
  "https://a.example/x/..",
  "https://a.example//x",
  "https://a.example/x?y",
  "urn:c:d/e",
];
const requestedScopes = [
  ...scopes,
  ...scopes,
  "mail.",
  "mail..read",
  "mail.read:",
  "repo:main",
  "repo:main:%2e",
  "other",
];

type Random = () => number;

function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError("nothing to pick from");
  return item;
}

/** Up to 30 rules with roles, role hierarchies, organizations, wildcards and denials mixed; never a condition twice. */
export function randomPolicy(random: Random): RandomPolicy {
  const { dom, sub, rel, obj, act, scope } = rulePool;
  const rules = new Map<string, string[]>();
  for (let left = 1 + Math.floor(random() * 30); left > 0; left--) {
    const condition = [dom, sub, rel, obj, act, scope].map((pool) =>
      random() < 0.4 ? "*" : pick(random, pool),
    );
    const effect = random() < 0.3 ? "deny" : "allow";
    rules.set(condition.join(), [`rule-${left}`, ...condition, effect, "because"]);
  }
  const assignments = new Map<string, string[]>();
  for (let left = Math.floor(random() * 10); left > 0; left--) {
    const place = Math.floor(random() * roles.length);
    const user = random() < 0.5 ? pick(random, [...agents, "agent"]) : (roles[place] ?? "");
    const role = pick(random, roles.slice(roles.includes(user) ? place + 1 : 0).concat("role-top"));
    const row = [user, role, pick(random, [...organizations, "*"])];
    assignments.set(row.join(), row);
  }
  const ownRoles = agents.map((agent) => [agent, ownRoleNames.filter(() => random() < 0.4)] as const);
  return { rules: [...rules.values()], assignments: [...assignments.values()], ownRoles: new Map(ownRoles) };
}

/** A request that a random policy may well match. */
export function randomRequest(random: Random, { ownRoles }: RandomPolicy): DecisionRequest {
  const organization = parseOrganizationId(pick(random, organizations));
  if (organization === undefined) throw new Error("an organization's id is malformed");
  const subject = pick(random, agents);
  return {
    organization,
    subject,
    roles: ownRoles.get(subject) ?? [],
    relation: pick(random, [...relations, "delegated", "direct"]),
    resource: pick(random, requestedObjects),
    action: pick(random, decisionActions),
    scope: pick(random, requestedScopes),
  };
}

/** The policy as text, with what needs quotes quoted. */
export function policyText({ rules, assignments }: Pick<RandomPolicy, "rules" | "assignments">): string {
  const quote = (field: string) => (/[",]|^ | $/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);
  const line = (row: readonly string[]) => row.map(quote).join(", ");
  return [...rules.map((row) => line(["p", ...row])), ...assignments.map((row) => line(["g", ...row]))].join(
    "\n",
  );
}
