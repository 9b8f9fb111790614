import { type Audience, parseAudience } from "@countersign/sdk/model/audience";
import type { Grant, GrantRequest } from "@countersign/sdk/model/narrow";
import fc from "fast-check";

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

/** Grants as the server records them. */
export const grants: fc.Arbitrary<Grant> = fc.record({
  resource: fc.constantFrom(...resources),
  scope: scopes,
  authorizationDetails: fc.constant([]),
  expiresAtMs: times,
  maxDepth: fc.integer({ min: 0, max: 15 }),
  budget: fc.constant({}),
  onward: fc.constant([]),
});

/** Requests as a hostile caller makes them, with a fair chance of being acceptable. */
export const requests: fc.Arbitrary<GrantRequest> = fc.record(
  {
    resource: fc.constantFrom<string>(...resources, "https://mail.example/", "https://evil.example"),
    scope: fc.oneof(scopes, fc.array(fc.constantFrom("a", "b", "", "a b", "é"))),
    expiresAtMs: fc.oneof(times, fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -1, nowMs + 0.5)),
    maxDepth: fc.oneof(fc.integer({ min: -1, max: 16 }), fc.constantFrom(Number.NaN, Infinity, 0.5)),
    authorizationDetails: fc.oneof({ weight: 9, arbitrary: fc.constant([]) }, fc.constant([{ type: "x" }])),
    budget: fc.oneof({ weight: 9, arbitrary: fc.constant({}) }, fc.constant({ tokens: 1 })),
  },
  { requiredKeys: ["resource", "scope"] },
);

/** Written apart from narrow(), dimension by dimension: whether `child` gives nothing that `parent` does not. */
export function isNoWider(child: Grant, parent: Grant): boolean {
  return (
    child.resource === parent.resource &&
    child.scope.every((token) => parent.scope.includes(token)) &&
    child.expiresAtMs <= parent.expiresAtMs &&
    child.maxDepth < parent.maxDepth &&
    child.maxDepth >= 0 &&
    child.authorizationDetails.length === 0 &&
    Object.keys(child.budget).length === 0 &&
    child.onward.length === 0
  );
}
