import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseCases } from "../../src/policy/cases.ts";
import { testPolicy } from "../../src/policy/check.ts";
import { column } from "../../src/policy/check-row.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { rulesIn } from "../../src/policy/rule-index.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";

const issuer = "http://127.0.0.1:8460";
const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const example = read("policies/examples/provenance.csv");
const { model, policy } = await readShippedPolicy();
const snapshot = await loadPolicy({ model, policy: `${policy}\n${example}`, issuer });
const { outcomes, untestedRules } = testPolicy(
  snapshot,
  parseCases(read("policies/examples/provenance.yaml"), issuer),
);

describe("[BUD-021] behind the default policy, the example lines keep what came from outside from sinks of high risk:", () => {
  test.each(outcomes)("$policyCase.name", ({ decision, policyCase }) => {
    expect(decision).toMatchObject(policyCase.expected);
  });

  test("each of them decides a case", async () => {
    const own = await loadPolicy({ model, policy: example, issuer });
    const ids = [...rulesIn(own.rules)].map((rule) => rule[column.rule]);
    expect(untestedRules.filter((id) => ids.includes(id))).toEqual([]);
  });

  test("and they are what the documentation shows", () => {
    const lines = example.split("\n").filter((line) => /^[pe],/.test(line));
    for (const line of lines) expect(read("docs/concepts.md")).toContain(`    ${line}`);
  });
});
