#!/usr/bin/env node
import { randomBytes } from "node:crypto";
import { writeSync } from "node:fs";
import type { Cli } from "./commands/cli.ts";
import { runCommandLine } from "./commands/program.ts";
import { readConfig } from "./config.ts";

const cli: Cli = {
  readConfig: (overrides) => readConfig(overrides),
  // Synchronous, so that nothing is lost when the process ends.
  print: (text) => writeAll(1, `${text}\n`),
  note: (text) => writeAll(2, `${text}\n`),
  fetch: globalThis.fetch,
  now: Date.now,
  randomBytes: (count) => new Uint8Array(randomBytes(count)),
  // The server's modules are loaded by the commands that run them: the others start three times as fast.
  startApp: async (config) => (await import("./app.ts")).startApp(config),
  recoverLedger: async (config, log) => (await import("./app.ts")).recoverLedger(config, log),
  untilAsked,
};

process.exitCode = await runCommandLine(cli, process.argv.slice(2));

/** The first signal asks to end; a second one ends at once. */
function untilAsked(): Promise<number> {
  return new Promise((resolve) => {
    for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(code));
        resolve(code);
      });
    }
  });
}

function writeAll(descriptor: 1 | 2, text: string): void {
  const octets = Buffer.from(text);
  for (let written = 0; written < octets.length; ) {
    try {
      written += writeSync(descriptor, octets, written);
    } catch (error) {
      // A full pipe: the reader is slower than we are.
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
    }
  }
}
