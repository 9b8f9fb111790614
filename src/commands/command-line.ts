import { randomBytes } from "node:crypto";
import { readConfig } from "../config.ts";
import { type Cli, harmless } from "./cli.ts";
import { runCommandLine } from "./program.ts";

const cli: Cli = {
  readConfig: (overrides) => readConfig(overrides),
  print: (text) => void process.stdout.write(`${harmless(text)}\n`),
  note: (text) => void process.stderr.write(`${harmless(text)}\n`),
  fetch: globalThis.fetch,
  now: Date.now,
  randomBytes: (count) => new Uint8Array(randomBytes(count)),
  // The server's modules are loaded by the commands that run them: the others start three times as fast.
  startApp: async (config) => (await import("../app.ts")).startApp(config),
  runNode: async (options) => (await import("../app/run-node.ts")).runNode(options),
  recoverLedger: async (config, request) =>
    (await import("../app/recover-ledger.ts")).recoverLedger(config, request),
  isTerminal: process.stdin.isTTY === true,
  confirm,
  untilAsked,
};

// Whoever reads may have had enough, like `head`: that must not end a server, nor a command before it has tidied up.
process.stdout.once("error", () => cli.note("countersign: nobody reads the output"));
process.stdout.on("error", () => undefined);
process.exitCode = await runCommandLine(cli, process.argv.slice(2));

/** Asks on standard error: standard output is for answers. The end of the input is a no. */
async function confirm(question: string): Promise<boolean> {
  const { createInterface } = await import("node:readline");
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await new Promise<boolean>((resolve) => {
      terminal.once("close", () => resolve(false));
      terminal.question(`${question} [y/N] `, (answer) => resolve(/^y(?:es)?$/i.test(answer.trim())));
    });
  } finally {
    terminal.close();
  }
}

/** Answers at the first signal that asks to end. Later ones change nothing: npm and the terminal may both send one. */
function untilAsked(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => resolve());
  });
}
