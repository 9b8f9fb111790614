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
    "| shown | agent | a rule | DEL-001, DEL-004 |",
    "| claimed | agent | a hope | |",
    "| mistaken | agent | a rule | DEL-001, DEL-999 |",
    "| vague | agent | a rule | DEL-001 and more |",
    "| untried | agent | a rule | DEL-001, DEL-010 |",
  ],
  test: `test("[DEL-001] a child", () => {}); describe("[DEL-004] a handle", () => { test("DEL-010", () => {}) });`,
  problems: 4,
};

/** Each attack of the threat model names the requirements that stop it, and each of them is shown by a test that attacks. */
export function check(): Outcome {
  const tests = globSync(tries).map((file) => readFileSync(file, "utf8"));
  const { attacks, problems } = look(readFileSync(page, "utf8").split("\n"), tests);
  if (attacks === 0) problems.push(`${page} has no table that begins with ${head}`);
  if (look(planted.lines, [planted.test]).problems.length !== planted.problems)
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
  return tried.has(id) ? undefined : `${id}, which no test in ${tries} cites`;
}
