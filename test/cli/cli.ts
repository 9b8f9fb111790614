import { randomBytes } from "node:crypto";
import type { Cli } from "../../src/commands/cli.ts";
import { runCommandLine } from "../../src/commands/program.ts";
import { readConfig } from "../../src/config.ts";

/** Runs one command line as the program would, with its own environment, and keeps what it wrote. */
export async function run(
  words: readonly string[],
  environment: Record<string, string> = {},
  changes: Partial<Cli> = {},
) {
  const out: string[] = [];
  const err: string[] = [];
  const cli: Cli = {
    readConfig: (overrides) => readConfig(overrides, environment),
    print: (text) => out.push(text),
    note: (text) => err.push(text),
    fetch: globalThis.fetch,
    now: Date.now,
    randomBytes: (count) => new Uint8Array(randomBytes(count)),
    startApp: () => Promise.reject(new Error("no server in this test")),
    recoverLedger: () => Promise.reject(new Error("no ledger in this test")),
    runNode: () => Promise.reject(new Error("no node in this test")),
    isTerminal: false,
    confirm: () => Promise.reject(new Error("nobody sits at this test")),
    untilAsked: async () => undefined,
    ...changes,
  };
  const exit = await runCommandLine(cli, words);
  return { exit, out: out.join("\n"), err: err.join("\n") };
}
