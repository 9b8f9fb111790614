import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import type { Case } from "../vector-files.ts";
import { agents, calendar, mail, nowMs, readData, readFiles } from "./parties.ts";

type Members = { readonly [name: string]: JsonValue };

const leaf = {
  resource: mail,
  scope: ["mail.read", "mail.send"],
  expires_at_ms: nowMs + 3_600_000,
  max_depth: 1,
  onward: [
    { agent: agents.mail, resource: calendar, scope: ["mail.read", "mail.send"] },
    { agent: agents.calendar, resource: calendar, scope: ["mail.read"] },
    { agent: agents.calendar, resource: mail, scope: ["mail.read"] },
  ],
};
const token = { scope: ["mail.read"], expires_at_ms: nowMs + 300_000 };
const request = { client: agents.mail };

/** What the leaf has besides, what the token has besides, what is asked besides, and what comes of it. */
const cases: [string, Members, Members, Members, boolean | string][] = [
  ["the one resource that is listed", {}, {}, {}, true],
  ["the listed resource by name", {}, {}, { resource: `${calendar}/` }, true],
  ["a resource that is not listed", {}, {}, { resource: mail }, "resource"],
  ["one of two resources", {}, {}, { client: agents.calendar, resource: mail }, true],
  ["two resources and no word which", {}, {}, { client: agents.calendar }, "resource"],
  ["a client that is not listed", { onward: [] }, {}, {}, "onward"],
  ["the token's audience, but not listed", { onward: [] }, {}, { resource: mail }, "onward"],
  ["a scope beyond the token's", {}, {}, { scope: ["mail.send"] }, "scope"],
  [
    "a scope beyond the target's",
    {},
    { scope: ["mail.send"] },
    { client: agents.calendar, resource: calendar },
    "scope",
  ],
  ["a scope beyond the leaf's", { scope: ["mail.send"] }, {}, {}, "scope"],
  [
    "nothing in common but what is asked",
    {},
    { scope: ["mail.read", "mail.send"] },
    { scope: ["mail.send"] },
    true,
  ],
  ["a token that is over", {}, { expires_at_ms: nowMs }, {}, "expiry"],
  ["a leaf that is over", { expires_at_ms: nowMs }, {}, {}, "expiry"],
  ["a leaf that ends before the token", { expires_at_ms: nowMs + 1000 }, {}, {}, true],
  ["a leaf without a hop left", { max_depth: 0 }, {}, {}, "depth"],
  ["the token's details", {}, { authorization_details: [readData] }, {}, true],
  [
    "wider than the token's details",
    {},
    { authorization_details: [readData] },
    { authorization_details: [readFiles] },
    "authorization_details",
  ],
  [
    "a token without its leaf's details",
    { authorization_details: [readData] },
    {},
    {},
    "authorization_details",
  ],
  ["a leaf with a budget and no share said", { budget: { tokens: 2 } }, {}, {}, "budget"],
  ["a leaf with a budget and a share", { budget: { tokens: 2 } }, {}, { budget: { tokens: 1 } }, true],
  ["a share beyond the budget", { budget: { tokens: 2 } }, {}, { budget: { tokens: 3 } }, "budget"],
  ["a leaf with a session", { session: "s1" }, {}, {}, true],
  ["an agent that nobody listed", {}, {}, { client: agents.files }, "onward"],
  [
    "an agent that nobody listed, for a listed resource",
    {},
    {},
    { client: agents.files, resource: calendar },
    "onward",
  ],
  ["a resource below the listed one", {}, {}, { resource: `${calendar}/v1` }, "resource"],
  ["a resource that looks alike", {}, {}, { resource: `${calendar}.evil.example` }, "resource"],
  ["the leaf's resource, which is listed for another agent", {}, {}, { resource: mail }, "resource"],
  ["an empty scope", {}, {}, { scope: [] }, "scope"],
  ["a token without any scope", {}, { scope: [] }, {}, "scope"],
  ["a token with more scope than its leaf", {}, { scope: ["mail.read", "mail.admin"] }, {}, true],
  [
    "more than the leaf, which a token says it has",
    {},
    { scope: ["mail.admin"] },
    { scope: ["mail.admin"] },
    "scope",
  ],
  [
    "a target with more scope than its leaf",
    { scope: ["mail.read"] },
    { scope: ["mail.read", "mail.send"] },
    {},
    true,
  ],
  ["the scope in another case", {}, {}, { scope: ["Mail.read"] }, "scope"],
  ["a token that outlives its leaf", { expires_at_ms: nowMs + 60_000 }, {}, {}, true],
  ["a token of half a millisecond", {}, { expires_at_ms: nowMs + 0.5 }, {}, "expiry"],
  [
    "narrower than the token's details",
    {},
    { authorization_details: [readFiles] },
    { authorization_details: [readData] },
    true,
  ],
  [
    "the leaf's details, of which the token has less",
    { authorization_details: [readFiles] },
    { authorization_details: [readData] },
    { authorization_details: [readFiles] },
    "authorization_details",
  ],
  [
    "details that can't be read",
    {},
    { authorization_details: [readData] },
    { authorization_details: [{ ...readData, more: 1 }] },
    "authorization_details unreadable",
  ],
  [
    "the token's details taken off",
    {},
    { authorization_details: [readData] },
    { authorization_details: [] },
    "authorization_details",
  ],
  [
    "details of an unknown type in the token",
    {},
    { authorization_details: [{ type: "payment" }] },
    {},
    "authorization_details",
  ],
  [
    "a leaf with a budget of which nothing may be had",
    { budget: { tokens: 0 } },
    {},
    { budget: { tokens: 1 } },
    "budget",
  ],
  [
    "a share of one unit where two are limited",
    { budget: { tokens: 2, calls: 2 } },
    {},
    { budget: { tokens: 1 } },
    "budget",
  ],
  [
    "a leaf without a hop left, and an agent not listed",
    { max_depth: 0 },
    {},
    { client: agents.files },
    "onward",
  ],
];

export const onwardCases: readonly Case[] = cases.map(([name, has, holds, asks, expected]) => ({
  name,
  input: {
    now_ms: nowMs,
    leaf: { ...leaf, ...has },
    token: { ...token, ...holds },
    request: { ...request, ...asks },
  },
  expected,
}));
