import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { z } from "zod";

const main = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const { engines } = z
  .object({ engines: z.object({ node: z.string() }) })
  .parse(JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")));

/** Runs the command line on a Node that calls itself so, and on which nothing can be imported. */
function runOn(version: string, ...words: readonly string[]) {
  const older = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } });
    const { registerHooks } = await import("node:module");
    registerHooks({ resolve: (name, context, next) => {
      if (context.parentURL?.endsWith("/dist/main.js")) throw new Error("imported " + name);
      return next(name, context);
    } });`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(older)}`, main, ...words],
    { encoding: "utf8", env: { PATH: "/usr/bin:/bin" } },
  );
  return { status, stdout, stderr };
}

it("[FLT-007] on a Node that is too old the command line says which it needs, in one line, before it imports anything", () => {
  const needed = engines.node.replace(">=", "");
  const [major, minor] = needed.split(".").map(Number);
  for (const version of ["18.20.8", "20.20.2", `${major}.${Number(minor) - 1}.0`]) {
    const { status, stdout, stderr } = runOn(version, "serve");
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(
      new RegExp(`^countersign: needs Node.js ${needed} or newer, and this is ${version}: .+\n$`),
    );
    const json = runOn(version, "serve", "--json");
    expect(JSON.parse(json.stdout)).toEqual({
      error: { code: "usage", detail: expect.stringContaining(needed) },
    });
  }
  // On the first that is new enough it goes on, to the imports.
  expect(runOn(`${needed}.0`, "--version").stderr).toContain("imported ./commands/command-line.js");
});
