import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import type { Case } from "../vector-files.ts";
import { agents, calendar, mail, nowMs, readData, readFiles } from "./parties.ts";

type Members = { readonly [name: string]: JsonValue };

const parent = {
  resource: mail,
  scope: ["mail.read", "mail.send"],
  expires_at_ms: nowMs + 7_200_000,
  max_depth: 3,
};
const request = { resource: mail, scope: ["mail.read"] };
const target = (scope: string[], resource = mail, agent: string = agents.mail) => ({
  agent,
  resource,
  scope,
});

/** What the parent has besides, what is asked besides, and what comes of it. */
const cases: [string, Members, Members, boolean | string][] = [
  ["nothing said but scope", {}, {}, true],
  ["the whole scope", {}, { scope: ["mail.send", "mail.read"] }, true],
  ["a scope repeated", {}, { scope: ["mail.read", "mail.read"] }, true],
  ["a scope the parent lacks", {}, { scope: ["mail.read", "mail.delete"] }, "scope"],
  ["a scope in another case", {}, { scope: ["Mail.read"] }, "scope"],
  ["a scope that is a prefix", {}, { scope: ["mail"] }, "scope"],
  ["a scope that is a pattern", {}, { scope: ["mail.*"] }, "scope"],
  ["an empty scope", {}, { scope: [] }, "scope"],
  ["a scope that is none", { scope: ["a b"] }, { scope: ["a b"] }, "scope"],
  ["the resource with an origin's slash", {}, { resource: `${mail}/` }, true],
  ["another resource", {}, { resource: calendar }, "resource"],
  ["a resource below", {}, { resource: `${mail}/inbox` }, "resource"],
  ["a resource in another case", {}, { resource: "https://MAIL.example" }, "resource"],
  ["a resource that looks alike", {}, { resource: "https://mail.example.evil.example" }, "resource"],
  ["an expiry within", {}, { expires_at_ms: nowMs + 1 }, true],
  ["an expiry at the parent's end", {}, { expires_at_ms: parent.expires_at_ms }, true],
  ["an expiry beyond the parent's", {}, { expires_at_ms: parent.expires_at_ms + 1 }, "expiry"],
  ["an expiry now", {}, { expires_at_ms: nowMs }, "expiry"],
  ["half a millisecond", {}, { expires_at_ms: nowMs + 0.5 }, "expiry"],
  ["a parent that ends before the hour", { expires_at_ms: nowMs + 1000 }, {}, true],
  ["a parent that is over", { expires_at_ms: nowMs }, {}, "expiry"],
  ["all the depth that is left", {}, { max_depth: 2 }, true],
  ["as deep as the parent", {}, { max_depth: 3 }, "depth"],
  ["the last hop", { max_depth: 1 }, {}, true],
  ["beyond the last hop", { max_depth: 0 }, {}, "depth"],
  ["a negative depth", {}, { max_depth: -1 }, "depth"],
  ["half a hop", {}, { max_depth: 0.5 }, "depth"],
  ["details that are inherited", { authorization_details: [readData] }, {}, true],
  ["details below scope only", {}, { authorization_details: [readData] }, true],
  ["narrower details", { authorization_details: [readFiles] }, { authorization_details: [readData] }, true],
  [
    "wider details",
    { authorization_details: [readData] },
    { authorization_details: [readFiles] },
    "authorization_details",
  ],
  [
    "details taken off",
    { authorization_details: [readData] },
    { authorization_details: [] },
    "authorization_details",
  ],
  [
    "details of an unknown type",
    {},
    { authorization_details: [{ type: "payment" }] },
    "authorization_details unreadable",
  ],
  [
    "a parent's details of an unknown type",
    { authorization_details: [{ type: "payment" }] },
    {},
    "authorization_details",
  ],
  ["a budget below none", {}, { budget: { tokens: 5, calls: 0 } }, true],
  ["a part of the budget", { budget: { tokens: 10 } }, { budget: { tokens: 4 } }, true],
  ["the whole budget", { budget: { tokens: 10 } }, { budget: { tokens: 10 } }, true],
  ["more than the budget", { budget: { tokens: 10 } }, { budget: { tokens: 11 } }, "budget"],
  ["no budget below one", { budget: { tokens: 10 } }, {}, "budget"],
  ["another unit only", { budget: { tokens: 10 } }, { budget: { calls: 1 } }, "budget"],
  ["a unit more", { budget: { tokens: 10 } }, { budget: { tokens: 1, calls: 1 } }, true],
  ["an unknown unit", {}, { budget: { gold: 1 } }, "budget"],
  ["an unknown unit of the parent", { budget: { gold: 1 } }, { budget: { tokens: 1 } }, "budget"],
  ["a negative budget", {}, { budget: { tokens: -1 } }, "budget"],
  ["half a token", {}, { budget: { tokens: 0.5 } }, "budget"],
  ["a budget of 2^53", {}, { budget: { tokens: 9007199254740992 } }, "budget"],
  ["a root's onward target", { onward: "any" }, { onward: [target(["mail.read"], calendar)] }, true],
  [
    "a root's onward target beyond the asked scope",
    { onward: "any" },
    { onward: [target(["mail.send"])] },
    "onward",
  ],
  ["an onward target where the parent has none", {}, { onward: [target(["mail.read"])] }, "onward"],
  [
    "an onward target of the parent's",
    { onward: [target(["mail.read", "mail.send"])] },
    { onward: [target(["mail.read"])] },
    true,
  ],
  [
    "an onward target for more than the parent's",
    { onward: [target(["mail.read"])] },
    { scope: ["mail.read", "mail.send"], onward: [target(["mail.send"])] },
    "onward",
  ],
  [
    "an onward target for another agent",
    { onward: [target(["mail.read"])] },
    { onward: [target(["mail.read"], mail, agents.calendar)] },
    "onward",
  ],
  [
    "an onward target for another resource",
    { onward: [target(["mail.read"])] },
    { onward: [target(["mail.read"], calendar)] },
    "onward",
  ],
  [
    "an onward target named twice",
    { onward: "any" },
    { onward: [target(["mail.read"]), target(["mail.read"], `${mail}/`)] },
    "onward",
  ],
  [
    "an onward target with no hop left for it",
    { onward: "any", max_depth: 1 },
    { onward: [target(["mail.read"])] },
    "onward",
  ],
  ["an onward target without a scope", { onward: "any" }, { onward: [target([])] }, "onward"],
  ["onward targets that are not inherited", { onward: [target(["mail.read"])] }, {}, true],
  ["a session that is taken on", {}, { session: "s1" }, true],
  ["a session that is inherited", { session: "s1" }, {}, true],
  ["the parent's session", { session: "s1" }, { session: "s1" }, true],
  ["another session", { session: "s1" }, { session: "s2" }, "session"],
  ["a session in another case", { session: "s1" }, { session: "S1" }, "session"],
  ["a session that is empty", {}, { session: "" }, "session"],
  ["a session with a blank", {}, { session: "s 1" }, "session"],
];

export const narrowingCases: readonly Case[] = cases.map(([name, has, asks, expected]) => ({
  name,
  input: { now_ms: nowMs, parent: { ...parent, ...has }, request: { ...request, ...asks } },
  expected,
}));
