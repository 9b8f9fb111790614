import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import type { Case } from "../vector-files.ts";
import { calendar, mail, nowMs, readData, readFiles } from "./parties.ts";

type Members = { readonly [name: string]: JsonValue };

const leaf = {
  resource: mail,
  scope: ["mail.read", "mail.send"],
  expires_at_ms: nowMs + 3_600_000,
  max_depth: 0,
};

const cases: [string, Members, Members, boolean | string][] = [
  ["all of the leaf", {}, {}, true],
  ["a part of the scope", {}, { scope: ["mail.read"] }, true],
  ["a scope the leaf lacks", {}, { scope: ["mail.delete"] }, "scope"],
  ["another resource", {}, { resource: calendar }, "resource"],
  ["a leaf that ends sooner than tokens do", { expires_at_ms: nowMs + 1000 }, {}, true],
  ["a leaf that is over", { expires_at_ms: nowMs }, {}, "expiry"],
  ["details that are inherited", { authorization_details: [readData] }, {}, true],
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
  ["the leaf's budget and session", { budget: { tokens: 3 }, session: "s1" }, {}, true],
];

export const tokenCases: readonly Case[] = cases.map(([name, has, request, expected]) => ({
  name,
  input: { now_ms: nowMs, lifetime_seconds: 300, leaf: { ...leaf, ...has }, request },
  expected,
}));
