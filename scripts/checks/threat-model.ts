import { globSync, readFileSync } from "node:fs";
import { citationsIn } from "../../test/citations.ts";
import { requirements } from "../../test/requirements.ts";
import type { Outcome } from "./outcome.ts";

const page = "docs/threat-model.md";
const head = "| attack | by | what stops it | shown by |";
/** Where attacks are tried; a requirement that only other tests show stops no attack that anybody has tried. */
const tries = "test/{attacks,chaos}/*.test.ts";
const planted = {
  lines: [
    head,
    "|---|---|---|---|",
    "| shown | agent | a rule | DEL-001, DEL-004, DEL-007, TOK-001 |",
    "| claimed | agent | a hope | |",
    "| mistaken | agent | a rule | DEL-001, DEL-999 |",
    "| vague | agent | a rule | DEL-001 and more |",
    "| untried | agent | a rule | DEL-001, DEL-010 |",
  ],
  test: `
    test("[DEL-001] a child", () => {});
    describe("[DEL-004] a handle", () => { test("is good", () => {}); });
    test.each([1])("[DEL-007] %i", () => {});
    // Skipped elsewhere: a machine that lacks what it takes.
    test.runIf(able)("[TOK-001] a token", () => {});
    // test("[DEL-010] a comment", () => {});
    test.skip("[DEL-010] skipped", () => {});
    test("[DEL-010] skipped", { skip: true }, () => {});
    test("[DEL-010] skipped", ({ skip }) => skip());
    test.todo("[DEL-010] to do");
    test("[DEL-010] to do");
    test.fails("[DEL-010] fails", () => {});
    test.runIf(able)("[DEL-010] for no reason", () => {});
    if (able) test("[DEL-010] for no reason", () => {});
    describe.skip("skipped", () => { test("[DEL-010] in there", () => {}); });
    describe("[DEL-010] empty", () => {});
    const words = "[DEL-010]";
    test("DEL-010", () => expect(words).toBe("[DEL-010]"));`,
  only: `test("[DEL-001] another", () => {}); test.only("[DEL-001] this", () => {});`,
  problems: 4,
};

/** Each attack of the threat model names the requirements that stop it, and each of them is shown by a test that attacks and has to pass. */
export function check(): Outcome {
  const tests = globSync(tries).map((file) => readFileSync(file, "utf8"));
  const { attacks, problems } = look(readFileSync(page, "utf8").split("\n"), tests);
  if (attacks === 0) problems.push(`${page} has no table that begins with ${head}`);
  const found = look(planted.lines, [planted.test, planted.only]).problems.length;
  if (found !== planted.problems || citationsIn(planted.only).length > 0)
    problems.push("the planted attacks that nothing stops, or that nobody tried, are not found");
  return { seen: `${attacks} attacks, ${tests.length} files of tests that try them`, problems };
}

function look(
  lines: readonly string[],
  tests: readonly string[],
): { readonly attacks: number; readonly problems: string[] } {
  const tried = new Set(tests.flatMap(citationsIn));
  const begin = lines.indexOf(head);
  const rest = begin < 0 ? [] : lines.slice(begin + 2);
  const end = rest.findIndex((line) => !line.startsWith("|"));
  const rows = end < 0 ? rest : rest.slice(0, end);
  const problems = rows.flatMap((row) => {
    const [attack = "", , , shownBy = ""] = row
      .split("|")
      .slice(1)
      .map((cell) => cell.trim());
    return shownBy.split(", ").flatMap((id) => {
      const fault = faultOf(id, tried);
      return fault === undefined ? [] : [`${page}: «${attack}» is shown by ${fault}`];
    });
  });
  return { attacks: rows.length, problems };
}

function faultOf(id: string, tried: ReadonlySet<string>): string | undefined {
  if (id === "") return "nothing";
  if (!Object.hasOwn(requirements, id)) return `${id}, which is no requirement`;
  return tried.has(id) ? undefined : `${id}, which no test of ${tries} that has to pass cites`;
}
