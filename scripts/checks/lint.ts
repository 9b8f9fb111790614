import { cpSync, mkdirSync } from "node:fs";
import { runTool } from "./command.ts";
import type { Outcome } from "./outcome.ts";
import { withPlanted } from "./planted.ts";

const planted = {
  "src/a.ts": `
import { env } from "node:process";
import { later } from "./b.ts";
export function offend(x: any, y: string | undefined): string {
  later();
  [1].forEach(async () => {
    await later();
  });
  console.info(env["A"], process.env["B"], x);
  try {
    void later();
  } catch {}
  return y!;
}
`,
  "src/b.ts": "export const later = (): Promise<void> => Promise.resolve();\n",
};
const rulesThatFire = [
  "noExplicitAny",
  "noFloatingPromises",
  "noMisusedPromises",
  "noProcessEnv",
  "noEmptyBlockStatements",
  "noNonNullAssertion",
];

/** What is read of Biome's JSON report. Its version is pinned, so the shape is. */
interface Report {
  readonly summary: { readonly changed: number; readonly unchanged: number };
  readonly diagnostics: readonly {
    readonly category: string;
    readonly message: string;
    readonly location: { readonly path: string; readonly start: { readonly line: number } };
  }[];
}

/** Every file is formatted and linted as biome.json says; only src/config.ts of the product reads process.env. */
export async function check(): Promise<Outcome> {
  const { ended, files, problems } = await lint("check", process.cwd());
  if (files === 0) problems.push("no file was checked");
  if (ended.code !== 0 && problems.length === 0)
    problems.push(`biome ended with ${ended.code}: ${ended.stderr.trim()}`);
  return { seen: `${files} files`, problems: [...problems, ...(await proof())] };
}

async function lint(command: "check" | "lint", directory: string) {
  const flags = ["--reporter=json", "--error-on-warnings", "--max-diagnostics=none", "--colors=off"];
  const ended = await runTool("biome", [command, ...flags, "."], directory);
  const report: Report = JSON.parse(
    ended.stdout || '{"summary":{"changed":0,"unchanged":0},"diagnostics":[]}',
  );
  const problems = report.diagnostics.map(
    ({ category, message, location: { path, start } }) =>
      `${path}:${start.line + 1}: ${category}: ${message}`,
  );
  return { ended, files: report.summary.changed + report.summary.unchanged, problems };
}

function proof(): Promise<string[]> {
  return withPlanted(planted, async (directory) => {
    cpSync("biome.json", `${directory}/biome.json`);
    cpSync(".gitignore", `${directory}/.gitignore`);
    mkdirSync(`${directory}/.git`);
    const { problems } = await lint("lint", directory);
    return rulesThatFire
      .filter((rule) => !problems.some((text) => text.includes(rule)))
      .map((rule) => `${rule} does not find its planted offender`);
  });
}
