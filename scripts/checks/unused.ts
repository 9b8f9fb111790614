import { cpSync } from "node:fs";
import { runTool } from "./command.ts";
import { productSources } from "./files.ts";
import type { Outcome } from "./outcome.ts";
import { withPlanted } from "./planted.ts";

/** No file, export, dependency or binary is unused, unlisted or unresolved. */
export async function check(): Promise<Outcome> {
  const problems = await findings(process.cwd());
  return {
    seen: `the imports of ${productSources().length} sources and more`,
    problems: [...problems, ...(await proof())],
  };
}

/** One line a finding. Knip's JSON has one object a file, in which each kind of finding is a list. */
async function findings(directory: string): Promise<string[]> {
  const { code, stdout, stderr } = await runTool(
    "knip",
    ["--reporter", "json", "--no-config-hints"],
    directory,
  );
  if (code !== 0 && code !== 1) throw new Error(`knip ended with ${code}: ${stderr.trim()}`);
  const { issues }: { issues: Record<string, string | readonly { name: string; line?: number }[]>[] } =
    JSON.parse(stdout);
  return issues.flatMap(({ file, ...kinds }) =>
    Object.entries(kinds).flatMap(([kind, found]) =>
      typeof found === "string" ? [] : found.map(({ name, line = 1 }) => `${file}:${line}: ${kind}: ${name}`),
    ),
  );
}

function proof(): Promise<string[]> {
  const planted = {
    "package.json": JSON.stringify({
      name: "planted",
      type: "module",
      dependencies: { express: "1", koa: "1" },
    }),
    "sdk/typescript/package.json": JSON.stringify({ name: "planted-too" }),
    "src/main.ts":
      'import { used } from "./used.ts";\nimport pg from "pg";\nimport koa from "koa";\nexport default [used, pg, koa];\n',
    "src/used.ts": "export const used = 1;\nexport const spare = 2;\n",
    "src/nobody.ts": "export const nobody = 1;\n",
  };
  const wanted = ["files: src/nobody.ts", "exports: spare", "dependencies: express", "unlisted: pg"];
  return withPlanted(planted, async (directory) => {
    cpSync("knip.json", `${directory}/knip.json`);
    const found = await findings(directory);
    return wanted
      .filter((text) => !found.some((line) => line.endsWith(text)))
      .map((text) => `knip does not find what was planted: ${text}`);
  });
}
