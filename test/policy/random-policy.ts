import { parseOrganizationId } from "@countersign/sdk/model/ids";
import type { Attributes, AttributeValue } from "../../src/domain/attributes.ts";
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
  readonly entities: readonly string[][];
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
  "record:record-1",
  "file:/home/a",
];
const scopes = ["mail.read", "mail.send", "mail.read:all", "mail.read.all", "repo:main:read", "files/in/a"];

const rulePool = {
  dom: organizations,
  sub: [...agents, ...roles, "role-top", ...ownRoleNames],
  rel: ["delegated", "delegated", "direct"],
  obj: [
    ...objects,
    "https://a.example/*",
    "https://a.example/**",
    "https://a.example/x/*",
    "urn:c:d/**",
    "file:/*",
    "file:/home/**",
  ],
  act: ["token.issue", "token.exchange", "token.*", "token.**", "delegation.*", "delegation.**"],
  scope: [...scopes, "mail.*", "mail.**", "mail.read.*", "repo:**", "repo:main:*", "files/**"],
  when: [
    "action.amount<=100",
    "action.provenance!=trusted",
    "resource.status=archived & subject.role!=admin",
    "context.address in 10.0.0.0/8|192.168.0.0/16",
    "subject.tags=red|blue",
    "context.hour>=8 & context.hour<18",
  ],
};
// Beside what rules name: what wildcards must not cover, and what nobody named.
const requestedObjects = [
  ...objects,
  ...objects,
  "https://a.example/x/..",
  "https://a.example//x",
  "https://a.example/x?y",
  "urn:c:d/e",
  "file:/home",
  "file:/home/a/b",
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

const effects = [
  "allow",
  "allow",
  "allow",
  "allow",
  "deny",
  "deny",
  "needs_approval",
  "needs_approval",
  "step_up",
  "redact:body",
  "rate:5/60s",
];

function isVerdict(effect: string): boolean {
  return effect === "allow" || effect === "deny";
}

type Random = () => number;

/** What a policy may say of an entity, by plain name. */
function randomFacts(random: Random): Record<string, AttributeValue> {
  const facts = {
    status: pick(random, ["active", "archived"]),
    role: pick(random, ["admin", "reader"]),
    tags: pick(random, [[], ["red"], ["green", "blue"]]),
  };
  return Object.fromEntries(Object.entries(facts).filter(() => random() < 0.5));
}

/** What a request may tell of itself; now and then of another kind than a policy asks for. */
function randomAttributes(random: Random): Attributes {
  const all: Attributes = {
    "action.amount": pick(random, [5, 100, 100.5, "5"]),
    "action.provenance": pick(random, ["trusted", "untrusted", "trusted "]),
    "context.address": pick(random, ["10.1.2.3", "192.169.0.1", "fe80::1", "10.1.2"]),
    "context.hour": pick(random, [7, 8, 17, 18]),
    "resource.status": pick(random, ["active", "archived"]),
    "subject.role": pick(random, ["admin", "reader"]),
    "subject.tags": pick(random, [[], ["red", "green"], "blue"]),
  };
  return Object.fromEntries(Object.entries(all).filter(() => random() < 0.6));
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError("nothing to pick from");
  return item;
}

/** Up to 40 rules with roles, role hierarchies, organizations, wildcards and denials mixed; never a condition twice. */
export function randomPolicy(random: Random): RandomPolicy {
  const { dom, sub, rel, obj, act, scope, when } = rulePool;
  const rules = new Map<string, string[]>();
  for (let left = 1 + Math.floor(random() * 40); left > 0; left--) {
    const condition = [dom, sub, rel, obj, act, scope].map((pool) =>
      random() < 0.46 ? "*" : pick(random, pool),
    );
    const effect = pick(random, effects);
    const asked = [...condition, random() < 0.75 ? "*" : pick(random, when)];
    const key = isVerdict(effect) ? asked : [...asked, effect];
    rules.set(key.join(), [`rule-${left}`, ...asked, effect, "because"]);
  }
  const assignments = new Map<string, string[]>();
  for (let left = Math.floor(random() * 10); left > 0; left--) {
    const place = Math.floor(random() * roles.length);
    const user = random() < 0.5 ? pick(random, [...agents, "agent"]) : (roles[place] ?? "");
    const role = pick(random, roles.slice(roles.includes(user) ? place + 1 : 0).concat("role-top"));
    const row = [user, role, pick(random, [...organizations, "*"])];
    assignments.set(row.join(), row);
  }
  const entities = [...agents, ...objects]
    .filter(() => random() < 0.3)
    .map((name) => [name, pick(random, [...organizations, "*"]), JSON.stringify(randomFacts(random))]);
  const ownRoles = agents.map((agent) => [agent, ownRoleNames.filter(() => random() < 0.4)] as const);
  return {
    rules: [...rules.values()],
    assignments: [...assignments.values()],
    entities,
    ownRoles: new Map(ownRoles),
  };
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
    attributes: randomAttributes(random),
  };
}

/** The policy as text, with what needs quotes quoted. */
export function policyText({ rules, assignments, entities }: Omit<RandomPolicy, "ownRoles">): string {
  const quote = (field: string) => (/[",]|^ | $/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);
  const line = (row: readonly string[]) => row.map(quote).join(", ");
  return [
    ...rules.map((row) => line(["p", ...row])),
    ...assignments.map((row) => line(["g", ...row])),
    ...entities.map((row) => line(["e", ...row])),
  ].join("\n");
}
