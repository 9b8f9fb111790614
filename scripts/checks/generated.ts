import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { runTool } from "./command.ts";
import type { Outcome } from "./outcome.ts";
import { withPlanted } from "./planted.ts";

const folder = "src/workload-api/generated";

/** What is generated from spiffe/*.proto is what those say now: nothing is edited by hand, missing or left over. */
export async function check(): Promise<Outcome> {
  const made = await withPlanted({ "made/.keep": "" }, async (directory) => {
    const output = `${directory}/made`;
    const { code, stderr } = await runTool("buf", [
      ...["generate", "spiffe", "--template", "spiffe/buf.gen.yaml"],
      ...["--output", output],
    ]);
    if (code !== 0) throw new Error(`buf ended with ${code}: ${stderr.trim()}`);
    return filesBelow(output);
  });
  const problems = differences(filesBelow(folder), made);
  if (made.size === 0) problems.push("nothing was generated");
  const planted = differences(
    new Map([
      ["edited", "a"],
      ["left over", "b"],
    ]),
    new Map([
      ["edited", "c"],
      ["missing", "d"],
    ]),
  );
  if (planted.length !== 3) problems.push("the planted differences are not found");
  return { seen: `${made.size} files`, problems };
}

function filesBelow(directory: string): Map<string, string> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name));
  return new Map(paths.map((path) => [relative(directory, path), readFileSync(path, "utf8")]));
}

function differences(there: ReadonlyMap<string, string>, made: ReadonlyMap<string, string>): string[] {
  const names = [...new Set([...there.keys(), ...made.keys()])].sort();
  return names
    .filter((name) => there.get(name) !== made.get(name))
    .map((name) => `${folder}/${name} is not what spiffe/ says: npm run protos`);
}
