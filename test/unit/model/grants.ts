import { type Audience, parseAudience } from "@countersign/sdk/model/audience";
import { permits } from "@countersign/sdk/model/authorization-details";
import { type AgentId, newId } from "@countersign/sdk/model/ids";
import type { Grant, GrantRequest } from "@countersign/sdk/model/narrow";
import type { OnwardTarget } from "@countersign/sdk/model/onward";
import type { ToolCall } from "@countersign/sdk/model/tool-call";
import fc from "fast-check";
import { detailLists } from "./details.ts";

export const nowMs = 1_800_000_000_000;

export function audience(text: string): Audience {
  const parsed = parseAudience(text);
  if (parsed === undefined) throw new Error(`not an audience: ${text}`);
  return parsed;
}

const resources = [
  audience("https://mail.example"),
  audience("https://mail.example/a"),
  audience("urn:example:b"),
];
const scopes = fc
  .uniqueArray(fc.constantFrom("a", "b", "c", "d", "A"), { maxLength: 5 })
  .map((s) => s.sort());
const times = fc.integer({ min: -5000, max: 7_200_000 }).map((offset) => nowMs + offset);

export const agentIds = [agentId(1), agentId(2)] as const;
const onwardTargets: fc.Arbitrary<OnwardTarget> = fc.record({
  agent: fc.constantFrom(...agentIds),
  resource: fc.constantFrom(...resources),
  scope: scopes.filter((scope) => scope.length > 0),
});
const sessions = fc.constantFrom(undefined, undefined, "session-1", "session-2");
const budgets = fc.record(
  { tokens: fc.nat(3), calls: fc.nat(3), "spend:EUR": fc.nat(3), "spend:USD": fc.nat(3) },
  { requiredKeys: [] },
);
const isSetOfTargets = (targets: readonly OnwardTarget[]) =>
  new Set(targets.map(({ agent, resource }) => agent + resource)).size === targets.length;

/** Grants as the server records them. */
export const grants: fc.Arbitrary<Grant> = fc.record({
  resource: fc.constantFrom(...resources),
  scope: scopes,
  authorizationDetails: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, detailLists),
  expiresAtMs: times,
  maxDepth: fc.integer({ min: 0, max: 15 }),
  budget: fc.oneof(fc.constant({}), budgets),
  onward: fc.oneof(fc.constant([]), fc.array(onwardTargets, { maxLength: 3 }).filter(isSetOfTargets)),
  session: sessions,
});

/** Requests as a hostile caller makes them, with a fair chance of being acceptable. */
export const requests: fc.Arbitrary<GrantRequest> = fc.record(
  {
    resource: fc.constantFrom<string>(...resources, "https://mail.example/", "https://evil.example"),
    scope: fc.oneof(scopes, fc.array(fc.constantFrom("a", "b", "", "a b", "é"))),
    expiresAtMs: fc.oneof(times, fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -1, nowMs + 0.5)),
    maxDepth: fc.oneof(fc.integer({ min: -1, max: 16 }), fc.constantFrom(Number.NaN, Infinity, 0.5)),
    authorizationDetails: fc.oneof(
      { weight: 4, arbitrary: fc.constant([]) },
      { weight: 4, arbitrary: detailLists },
      fc.constant([{ type: "x" }]),
    ),
    budget: fc.oneof(
      { weight: 9, arbitrary: budgets },
      fc.constantFrom({ tokens: -1 }, { tokens: 0.5 }, { calls: Number.NaN }, { gold: 1 }),
    ),
    onward: fc.oneof(fc.constant([]), fc.array(onwardTargets, { maxLength: 3 })),
    session: fc.oneof({ weight: 9, arbitrary: sessions }, fc.constantFrom("", "a b", "x".repeat(129))),
  },
  { requiredKeys: ["resource", "scope"] },
);

/** The same request of what the parent has itself, member by member as `keep` says: often acceptable. */
export const relatedRequests: fc.Arbitrary<readonly [Grant, GrantRequest]> = fc
  .tuple(grants, requests, fc.array(fc.nat(7), { maxLength: 2 }))
  .map(([grant, request, keep]) => {
    const from = {
      ...grant,
      expiresAtMs: nowMs + 7_200_000,
      scope: ["a", ...grant.scope.filter((s) => s !== "a")],
    };
    const own: GrantRequest = { ...from, maxDepth: Math.max(0, from.maxDepth - 1), scope: ["a"], onward: [] };
    const names = Object.keys(request) as (keyof GrantRequest)[];
    const kept = names.filter((_, place) => keep.includes(place));
    return [
      from,
      { ...own, ...Object.fromEntries(kept.map((name) => [name, request[name]])) } as GrantRequest,
    ];
  });

/** Written apart from narrow(), dimension by dimension: whether `child` gives nothing that `parent` does not. */
export function isNoWider(child: Grant, parent: Grant): boolean {
  return (
    child.resource === parent.resource &&
    child.scope.every((token) => parent.scope.includes(token)) &&
    child.expiresAtMs <= parent.expiresAtMs &&
    child.maxDepth < parent.maxDepth &&
    child.maxDepth >= 0 &&
    everyCall.every(
      (call) => !permits(child.authorizationDetails, call) || permits(parent.authorizationDetails, call),
    ) &&
    Object.entries(parent.budget).every(
      ([unit, allowance]) => (child.budget[unit] ?? Infinity) <= allowance,
    ) &&
    child.onward.every((target) => target.scope.every((token) => child.scope.includes(token))) &&
    child.onward.every((target) =>
      parent.onward.some(
        ({ agent, resource, scope }) =>
          agent === target.agent &&
          resource === target.resource &&
          target.scope.every((s) => scope.includes(s)),
      ),
    ) &&
    (parent.session === undefined || child.session === parent.session)
  );
}

const everyCall: readonly ToolCall[] = ["files", "https://mcp.example"].flatMap((server) =>
  ["read_file", "write_file"].flatMap((tool) =>
    [
      undefined,
      {},
      { path: "/data/x" },
      { path: "/etc" },
      { n: 1 },
      { path: "/data/x", n: 1 },
      { n: "10.0.0.1" },
    ].map((given) => ({ server, tool, arguments: given })),
  ),
);

/** An onward target of one agent at the mail resource. */
export function target(
  scope: readonly string[],
  resource = "https://mail.example",
  agent: 0 | 1 = 0,
): OnwardTarget {
  return { agent: agentIds[agent], resource: audience(resource), scope };
}

function agentId(millisecond: number): AgentId {
  return newId("agent", millisecond, new Uint8Array(16));
}
