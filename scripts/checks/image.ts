import { existsSync, readFileSync } from "node:fs";
import type { Outcome } from "./outcome.ts";

/**
 * The Dockerfile keeps its promises as far as they can be read off it: base images pinned to a version, nobody's
 * development dependencies, not root, a health check, and no copied path that is missing or kept out of the build.
 * It does not build the image.
 */
export function check(): Outcome {
  const instructions = instructionsOf(readFileSync("Dockerfile", "utf8"));
  const ignore = readFileSync(".dockerignore", "utf8").split("\n");
  const problems = [...faultsOf(instructions), ...missingSources(instructions, ignore)];
  const planted = instructionsOf("FROM node:24\nCOPY not-there .\nRUN npm ci\n");
  if (faultsOf(planted).length !== 5 || missingSources(planted, ignore).length !== 1) {
    problems.push("the planted faults are not found");
  }
  return { seen: `${instructions.length} instructions`, problems };
}

function instructionsOf(text: string): string[] {
  const lines = text.replaceAll("\\\n", " ").split("\n");
  return lines.map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
}

function faultsOf(instructions: readonly string[]): string[] {
  const last = instructions.slice(instructions.findLastIndex((line) => line.startsWith("FROM ")));
  const promises: readonly (readonly [what: string, kept: boolean])[] = [
    [
      "the base image is pinned to a full version",
      instructions.some((line) => /node:\d+\.\d+\.\d+-\w+-slim$/.test(line)),
    ],
    [
      "production dependencies are installed apart",
      instructions.some((line) => line.includes("npm ci --omit=dev")),
    ],
    ["the image does not run as root", last.some((line) => /^USER [1-9]\d*:[1-9]\d*$/.test(line))],
    ["it has a health check", last.some((line) => line.startsWith("HEALTHCHECK "))],
    ["its last stage installs nothing", !last.some((line) => /^RUN .*(?:npm|apt)/.test(line))],
  ];
  return promises.filter(([, kept]) => !kept).map(([what]) => `Dockerfile: not so: ${what}`);
}

/** What is copied out of the project, yet is not there or not let in by .dockerignore, which lets in by name. */
function missingSources(instructions: readonly string[], ignore: readonly string[]): string[] {
  const copies = instructions.filter((line) => line.startsWith("COPY ") && !line.includes("--from="));
  const sources = copies.flatMap((line) => line.split(/\s+/).slice(1, -1)).filter((source) => source !== ".");
  const letIn = ignore.filter((line) => line.startsWith("!")).map((line) => line.slice(1));
  const isIn = (source: string) => letIn.some((path) => source === path || source.startsWith(`${path}/`));
  return sources
    .filter((source) => !existsSync(source) || !isIn(source.replace(/\/$/, "")))
    .map((source) => `Dockerfile: ${source} is missing, or kept out by .dockerignore`);
}
