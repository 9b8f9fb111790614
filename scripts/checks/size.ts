import { readFileSync } from "node:fs";
import ts from "typescript";
import { productSources } from "./files.ts";
import type { Outcome } from "./outcome.ts";

const fileLinesMax = 300;
const functionLinesMax = 50;

/**
 * No source file is longer than 300 lines, and no function than 50 of its own: function declarations inside it are
 * counted for themselves. A journey may be longer while it stays straight.
 */
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
  const long = `function long() {${"\n".repeat(50)}}`;
  const planted = sizesOf("planted.ts", `${"\n".repeat(260)}function outer() {\n${long}\n}`).problems;
  if (planted.length !== 2 || !planted[1]?.includes(":262:")) {
    problems.push("the planted file and function are not found");
  }
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
      const length = linesOf(file, node) - linesOfNested(file, node.body);
      const free = path.startsWith("src/journeys/");
      if (length > functionLinesMax && !free)
        problems.push(`${path}:${first}: ${length} lines, at most ${functionLinesMax}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return { functions, problems };
}

function linesOf(file: ts.SourceFile, node: ts.Node): number {
  const line = (position: number) => file.getLineAndCharacterOfPosition(position).line;
  return line(node.getEnd()) - line(node.getStart(file)) + 1;
}

function linesOfNested(file: ts.SourceFile, body: ts.Node): number {
  let lines = 0;
  ts.forEachChild(body, (child) => {
    if (ts.isFunctionDeclaration(child)) lines += linesOf(file, child);
  });
  return lines;
}
