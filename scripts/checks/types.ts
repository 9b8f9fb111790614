import ts from "typescript";
import type { Outcome } from "./outcome.ts";
import { withPlanted } from "./planted.ts";
import { strayPromises } from "./stray-promises.ts";

const host: ts.FormatDiagnosticsHost = {
  getCanonicalFileName: (name) => name,
  getCurrentDirectory: () => process.cwd(),
  getNewLine: () => "\n",
};

/**
 * Both projects type-check, the SDK's without the types of Node, and no promise is left to itself. Biome looks for the
 * latter too, but its inference gives up on overloads and on most types from packages; the compiler's does not.
 */
export async function check(): Promise<Outcome> {
  const problems: string[] = [];
  let files = 0;
  for (const project of ["tsconfig.json", "sdk/typescript/tsconfig.json"]) {
    const program = programOf(project);
    const own = program.getSourceFiles().filter(({ fileName }) => !fileName.includes("/node_modules/"));
    files += own.length;
    if (own.length === 0) problems.push(`${project}: no file was checked`);
    problems.push(...ts.getPreEmitDiagnostics(program).map(firstLine));
    if (project === "tsconfig.json") problems.push(...strayPromises(program, own));
  }
  problems.push(...(await proof()));
  return { seen: `${files} files of 2 projects`, problems: [...new Set(problems)] };
}

function firstLine(found: ts.Diagnostic): string {
  return ts.formatDiagnostic(found, host).split("\n", 1).join("");
}

function programOf(project: string): ts.Program {
  const parsed = ts.getParsedCommandLineOfConfigFile(
    project,
    { noEmit: true, composite: false, incremental: false },
    {
      ...ts.sys,
      onUnRecoverableConfigFileDiagnostic(found) {
        throw new Error(ts.formatDiagnostic(found, host));
      },
    },
  );
  if (!parsed) throw new Error(`${project} can't be read`);
  return ts.createProgram({ rootNames: parsed.fileNames, options: parsed.options });
}

const planted = `
declare function save(): Promise<void>;
declare function each(visit: () => void): void;
save();
save().then(() => 1);
save().finally(() => 1);
each(async () => {});
each(save);
`;
const harmless = `
declare function save(): Promise<void>;
declare function wait(visit: () => unknown): void;
await save();
void save();
save().catch(() => 1);
save().then(() => 1, () => 2);
save().finally(async () => {}).catch(() => 1);
wait(async () => {});
`;

function proof(): Promise<string[]> {
  return withPlanted({ "bad.ts": planted, "good.ts": `export {};${harmless}` }, (directory) => {
    const program = ts.createProgram({
      rootNames: [`${directory}/bad.ts`, `${directory}/good.ts`],
      options: {
        strict: true,
        noEmit: true,
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2024,
        types: [],
      },
    });
    const found = strayPromises(
      program,
      program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(directory)),
    );
    const wanted = [4, 5, 6, 7, 8].map((line) => `bad.ts:${line}:`);
    const asWanted =
      found.length === wanted.length && wanted.every((place) => found.some((text) => text.includes(place)));
    return asWanted
      ? []
      : [`the search for stray promises no longer finds what was planted: ${found.join("; ")}`];
  });
}
