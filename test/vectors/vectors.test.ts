import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import { expect, test } from "vitest";
import { type Check, checks, decide } from "./decide.ts";
import { vectorFiles } from "./vector-files.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));
const published = readdirSync(folder).filter((name) => name.endsWith(".json"));
type Members = { readonly [name: string]: JsonValue };
const read = (name: string): { readonly check: Check; readonly cases: readonly Members[] } =>
  JSON.parse(readFileSync(folder + name, "utf8"));

test("[NAR-008] the published vectors are what the tables say, byte for byte", () => {
  const files = vectorFiles();
  expect(published.sort()).toEqual(files.map(({ name }) => name).sort());
  for (const { name, text } of files) expect(readFileSync(folder + name, "utf8")).toBe(text);
});

test("[NAR-008] what is read back from each file is decided as it says", () => {
  const outputs = [
    "covered",
    "permitted",
    "narrowed",
    "dimension",
    "fault",
    "grant",
    "valid",
    "chain",
    "accepted",
    "checksum",
  ];
  for (const name of published) {
    const { check, cases } = read(name);
    for (const { name: told, ...one } of cases) {
      const input = Object.fromEntries(Object.entries(one).filter(([member]) => !outputs.includes(member)));
      expect({ told, ...input, ...decide(check, input) }).toEqual({ told, ...one });
    }
  }
});

test("[NAR-008] each check has cases that pass and cases that don't, each with a name of its own", () => {
  const files = published.map(read);
  expect(files.map(({ check }) => check).sort()).toEqual([...checks].sort());
  for (const { cases } of files) {
    const verdicts = cases.map((one) => Object.values(one).includes(true));
    expect([verdicts.includes(true), verdicts.includes(false)]).toEqual([true, true]);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  }
  const dimensions = new Set(files.flatMap(({ cases }) => cases.flatMap(({ dimension }) => dimension ?? [])));
  expect([...dimensions].sort()).toEqual([
    "authorization_details",
    "budget",
    "depth",
    "expiry",
    "onward",
    "resource",
    "scope",
    "session",
  ]);
});
