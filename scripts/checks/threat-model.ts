import { readFileSync } from "node:fs";
import { requirements } from "../../test/requirements.ts";
import type { Outcome } from "./outcome.ts";

const page = "docs/threat-model.md";
const head = "| attack | by | what stops it | shown by |";
const planted = [
  head,
  "|---|---|---|---|",
  "| shown | agent | a rule | DEL-001, DEL-004 |",
  "| claimed | agent | a hope | |",
  "| mistaken | agent | a rule | DEL-001, DEL-999 |",
  "| vague | agent | a rule | DEL-001 and more |",
];

/** Each attack of the threat model names the requirements that stop it, and each of them is one that tests cite. */
export function check(): Outcome {
  const { attacks, problems } = look(readFileSync(page, "utf8").split("\n"));
  if (attacks === 0) problems.push(`${page} has no table that begins with ${head}`);
  if (look(planted).problems.length !== 3)
    problems.push("the planted attacks without a defence are not found");
  return { seen: `${attacks} attacks`, problems };
}

function look(lines: readonly string[]): { attacks: number; problems: string[] } {
  const begin = lines.indexOf(head);
  const rest = begin < 0 ? [] : lines.slice(begin + 2);
  const end = rest.findIndex((line) => !line.startsWith("|"));
  const rows = end < 0 ? rest : rest.slice(0, end);
  const problems = rows.flatMap((row) => {
    const [attack = "", , , shownBy = ""] = row
      .split("|")
      .slice(1)
      .map((cell) => cell.trim());
    const unknown = shownBy.split(", ").filter((id) => !Object.hasOwn(requirements, id));
    return unknown.map(
      (id) => `${page}: «${attack}» is shown by ${id === "" ? "nothing" : `${id}, which is no requirement`}`,
    );
  });
  return { attacks: rows.length, problems };
}
