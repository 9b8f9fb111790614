import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { run } from "./cli.ts";
import { serveCommands } from "./served-commands.ts";

const { server, directory, answer } = await serveCommands();
const { policy: shipped } = await readShippedPolicy();
const numberNow = async () => (await answer("policy", "show")).number;

/** A file with a policy that differs from the shipped one. */
function policyFile(role: string): string {
  const path = join(directory, `${role}.csv`);
  writeFileSync(path, `${shipped}\ng, usr_01k9, ${role}, *\n`);
  return path;
}

const sitting = (answers: boolean) => ({ isTerminal: true, confirm: async () => answers });

describe("policy apply, before it does", () => {
  it("[POL-050] shows somebody at a terminal which decisions would have been others, and does nothing without a yes", async () => {
    const before = await numberNow();
    const words = ["policy", "apply", policyFile("reader")];
    const no = await run(words, server.environment, sitting(false));
    expect([no.exit, no.out]).toEqual([1, "nothing was changed"]);
    expect(no.err).toMatch(/^decisions looked back upon +[1-9]\d*$/m);
    expect(no.err).toMatch(/^that would have been others +0$/m);
    expect(await numberNow()).toBe(before);
    expect((await run(words, server.environment, sitting(true))).exit).toBe(0);
    expect(await numberNow()).toBe(before + 1);
  });

  it("[POL-050] with --dry-run only shows it", async () => {
    const before = await numberNow();
    expect(await answer("policy", "apply", policyFile("writer"), "--dry-run")).toMatchObject({ flipped: 0 });
    expect(await numberNow()).toBe(before);
  });

  // The pretended terminal fails a test that is asked.
  it("[POL-050] does not ask who says --yes", async () => {
    const words = ["policy", "apply", policyFile("author"), "--yes"];
    const { exit, err } = await run(words, server.environment, { isTerminal: true });
    expect([exit, err]).toEqual([0, ""]);
  });
});
