// Writes random vector files to the directory named: cases nobody thought of, decided by the SDK. The seed is printed.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import type { Grant, GrantRequest } from "@countersign/sdk/model/narrow";
import fc from "fast-check";
import {
  argumentValues,
  constraints,
  detailLists,
  relatedLists,
  toolCalls,
} from "../../unit/model/details.ts";
import { grants, nowMs, relatedRequests } from "../../unit/model/grants.ts";
import { type Check, decide } from "../../vectors/decide.ts";
import { vectorText } from "../../vectors/vector-files.ts";

type Input = { readonly [name: string]: JsonValue | undefined };

const [directory = ".", given] = process.argv.slice(2);
const seed = Number(given ?? Date.now() % 2 ** 31);

const signs = [
  "/",
  "//",
  ".",
  "..",
  "*",
  "**",
  "~",
  ":",
  "%",
  "%2e",
  "\\",
  " ",
  "é",
  "e\u0301",
  "\u200c",
  "\uff0e",
  "\u2025",
];
const words = [
  "a",
  "b",
  "data",
  "Data",
  "10",
  "0",
  "255",
  "256",
  "::",
  "ffff",
  "1:2",
  "https://",
  "a.example",
  "?",
  "&x=1",
  "@",
  "#",
];
const odd = fc.array(fc.constantFrom(...signs, ...words), { maxLength: 7 }).map((parts) => parts.join(""));
const likely = fc
  .tuple(
    fc.constantFrom("/", "", "https://a.example/", "https://a.example:8443/"),
    fc.array(fc.constantFrom("a", "b", "*", "é"), { maxLength: 4 }),
  )
  .map(([root, segments]) => root + segments.join("/"));
const addresses = fc.oneof(fc.ipV4(), fc.ipV6(), fc.ipV4Extended());
const networks = fc
  .tuple(addresses, fc.integer({ min: 0, max: 130 }))
  .map(([address, bits]) => `${address}/${bits}`);
const texts = fc.oneof(
  odd,
  likely,
  addresses,
  networks,
  fc.webUrl({ withQueryParameters: true }),
  fc.string({ unit: "grapheme" }),
);
const rule = fc.oneof(
  constraints,
  fc
    .tuple(fc.constantFrom("prefix", "glob", "cidr", "exact"), texts)
    .map(([kind, text]): JsonValue => ({ [kind]: text })),
);
const value = fc.oneof(fc.constantFrom(...argumentValues), texts, fc.jsonValue() as fc.Arbitrary<JsonValue>);
/** A prefix or glob and something that looks as if it lay below. */
const below = fc
  .tuple(
    fc.constantFrom("/a", "/a/b", "a", "https://a.example", "https://a.example/v1"),
    fc.oneof(odd, likely),
    fc.boolean(),
  )
  .map(([path, rest, more]) => [path, more ? `${path}/${rest}` : path + rest] as const);
const aboveAndBelow = fc.tuple(
  below,
  fc.constantFrom("", "/*", "/**", "/*/**"),
  fc.constantFrom("exact", "prefix", "glob"),
);
const one = (given: JsonValue): JsonValue[] => [
  { type: "tool_call", server: "s", tools: ["t"], arguments: { v: given } },
];

const tables: readonly [string, Check, fc.Arbitrary<Input>][] = [
  [
    "lists",
    "covers",
    fc.oneof(relatedLists, fc.tuple(detailLists, detailLists)).map(([parent, child]) => ({ parent, child })),
  ],
  [
    "rules",
    "covers",
    fc.tuple(rule, rule).map(([parent, child]) => ({ parent: one(parent), child: one(child) })),
  ],
  [
    "paths",
    "covers",
    aboveAndBelow.map(([[path, text], wild, kind]) => ({
      parent: one(wild === "" ? { prefix: path } : { glob: path + wild }),
      child: one({ [kind]: text }),
    })),
  ],
  [
    "addresses",
    "permits",
    fc.tuple(fc.constantFrom("0.0.0.0/0", "::/0", "128.0.0.0/1", "8000::/1"), addresses).map(([cidr, v]) => ({
      authorization_details: one({ cidr }),
      call: { server: "s", tool: "t", arguments: { v } },
    })),
  ],
  ["alone", "covers", fc.tuple(rule).map(([child]) => ({ parent: [], child: one(child) }))],
  [
    "servers",
    "covers",
    texts.map((server) => ({ parent: [], child: [{ type: "tool_call", server, tools: ["t"] }] })),
  ],
  [
    "calls",
    "permits",
    fc
      .tuple(detailLists, toolCalls)
      .map(([list, call]) => ({ authorization_details: list, call: call as unknown as JsonValue })),
  ],
  [
    "values",
    "permits",
    fc.tuple(rule, value).map(([given, v]) => ({
      authorization_details: one(given),
      call: { server: "s", tool: "t", arguments: { v } },
    })),
  ],
  [
    "grants",
    "narrow",
    relatedRequests
      .filter(([, asked]) => isJson(asked))
      .map(([parent, request]) => ({ now_ms: nowMs, parent: wireOf(parent), request: wireOf(request) })),
  ],
  [
    "tokens",
    "narrow-token",
    relatedRequests.map(([leaf, asked]) => ({
      now_ms: nowMs,
      lifetime_seconds: 300,
      leaf: wireOf(leaf),
      request: tokenWishOf(asked),
    })),
  ],
  [
    "onward",
    "narrow-onward",
    fc.tuple(grants, grants).map(([leaf, { scope, expiresAtMs }]) => ({
      now_ms: nowMs,
      leaf: wireOf(leaf),
      token: { scope, expires_at_ms: expiresAtMs, authorization_details: leaf.authorizationDetails },
      request: { client: leaf.onward[0]?.agent ?? "agt_00000000010000000000000000", budget: leaf.budget },
    })),
  ],
];

console.info(`random cases of seed ${seed}`);
for (const [name, check, inputs] of tables) {
  const cases = fc.sample(inputs, { seed, numRuns: 1500 }).map((input, place) => {
    // Decided as it will be read: JSON has no negative zero and no undefined.
    const read = JSON.parse(JSON.stringify(input));
    return { name: `${name} ${place}`, ...read, ...decide(check, read) };
  });
  writeFileSync(join(directory, `${name}.json`), vectorText(check, cases));
}

function wireOf(grant: Grant | GrantRequest): JsonValue {
  const { resource, scope, budget, onward, session } = grant;
  return {
    resource,
    scope,
    // The generators make JSON.
    authorization_details: grant.authorizationDetails as JsonValue,
    expires_at_ms: grant.expiresAtMs,
    max_depth: grant.maxDepth,
    budget,
    onward: onward?.map(({ agent, resource: at, scope: some }) => ({ agent, resource: at, scope: some })),
    session,
  };
}

/** What a token may be asked to carry. */
function tokenWishOf({ resource, scope, authorizationDetails }: GrantRequest): JsonValue {
  return { resource, scope, authorization_details: authorizationDetails as JsonValue };
}

function isJson({ expiresAtMs = 0, maxDepth = 0, budget = {} }: GrantRequest): boolean {
  return [expiresAtMs, maxDepth, ...Object.values(budget)].every(Number.isFinite);
}
