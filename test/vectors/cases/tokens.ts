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

const unreadable = "authorization_details unreadable";
const withPath = (path: JsonValue): Members => ({ ...readData, arguments: { path } });
/** Asked of a leaf that is limited to one tool and one path. */
const underData = (
  name: string,
  asked: Members,
  expected: boolean | string,
): [string, Members, Members, boolean | string][] => [
  [name, { authorization_details: [readData] }, { authorization_details: [asked] }, expected],
];

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
  ["details below scope only", {}, { authorization_details: [readData] }, true],
  [
    "the leaf's details by name",
    { authorization_details: [readData] },
    { authorization_details: [readData] },
    true,
  ],
  ...underData(
    "the leaf's details in another order",
    { arguments: readData.arguments, tools: ["read_file"], server: "files", type: "tool_call" },
    true,
  ),
  ...underData("a path below", withPath({ prefix: "/data/a" }), true),
  ...underData("a file below", withPath({ exact: "/data/a.txt" }), true),
  ...underData("a glob below", withPath({ glob: "/data/*/x" }), true),
  ...underData("a path that begins alike", withPath({ prefix: "/database" }), "authorization_details"),
  ...underData("a path above", withPath({ prefix: "/" }), "authorization_details"),
  ...underData("a path in another case", withPath({ prefix: "/DATA" }), "authorization_details"),
  ...underData("a file outside", withPath({ one_of: ["/data/a", "/etc/passwd"] }), "authorization_details"),
  ...underData(
    "a value that spells a path with dots",
    withPath({ exact: "/data/../etc" }),
    "authorization_details",
  ),
  ...underData("another kind of constraint", withPath({ length: { max: 3 } }), "authorization_details"),
  ...underData(
    "an argument that may be left out",
    withPath({ prefix: "/data", optional: true }),
    "authorization_details",
  ),
  ...underData("another tool", { ...readData, tools: ["read_file", "write_file"] }, "authorization_details"),
  ...underData("another server", { ...readData, server: "Files" }, "authorization_details"),
  ...underData("a path with dots", withPath({ prefix: "/data/../etc" }), unreadable),
  ...underData("a path with a final slash", withPath({ prefix: "/data/" }), unreadable),
  ...underData("a path with dots that are encoded", withPath({ prefix: "/data/%2e%2e/etc" }), unreadable),
  ...underData("an unknown constraint", withPath({ regex: ".*" }), unreadable),
  ...underData("two constraints", withPath({ prefix: "/data", exact: "/data" }), unreadable),
  ...underData("an unknown type", { ...readData, type: "payment" }, unreadable),
  ...underData("an unknown member", { ...readData, locations: ["https://mail.example"] }, unreadable),
  ...underData("more levels than may be", withPath({ exact: [[[[[1]]]]] }), unreadable),
  ...underData("more bytes than may be", withPath({ exact: "x".repeat(8192) }), unreadable),
  [
    "details that can't be read of a leaf",
    { authorization_details: [{ type: "payment" }] },
    {},
    "authorization_details",
  ],
  ["the leaf's budget and session", { budget: { tokens: 3 }, session: "s1" }, {}, true],
];

export const tokenCases: readonly Case[] = cases.map(([name, has, request, expected]) => ({
  name,
  input: { now_ms: nowMs, lifetime_seconds: 300, leaf: { ...leaf, ...has }, request },
  expected,
}));
