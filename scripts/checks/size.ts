import { readFileSync } from "node:fs";
import ts from "typescript";
import { productSources } from "./files.ts";
import type { Outcome } from "./outcome.ts";

const fileLinesMax = 300;
const functionLinesMax = 50;

/** No source file is longer than 300 lines, and no function than 50; a journey may be longer while it stays straight. */
export function check(): Outcome {
  const problems: string[] = [];
  let functions = 0;
  const paths = productSources();
  for (const path of paths) {
    const sized = sizesOf(path, readFileSync(path, "utf8"));
    functions += sized.functions;
    problems.push(...sized.problems);
  }
  if (functions === 0) problems.push("no function was measured");
  const planted = `${"\n".repeat(260)}function long() {${"\n".repeat(50)}}`;
  if (sizesOf("planted.ts", planted).problems.length !== 2)
    problems.push("the planted file and function are not found");
  return { seen: `${paths.length} files, ${functions} functions`, problems };
}

function sizesOf(path: string, text: string): { functions: number; problems: string[] } {
  const problems: string[] = [];
  let functions = 0;
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  if (lines > fileLinesMax) problems.push(`${path}: ${lines} lines, at most ${fileLinesMax}`);
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && "body" in node && node.body) {
      functions++;
      const first = file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1;
      const length = file.getLineAndCharacterOfPosition(node.getEnd()).line + 2 - first;
      const free = path.startsWith("src/journeys/");
      if (length > functionLinesMax && !free)
        problems.push(`${path}:${first}: ${length} lines, at most ${functionLinesMax}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return { functions, problems };
}
