import { RefusedError, UnreachableError } from "@countersign/sdk/client/client-error";
import { faultText } from "@countersign/sdk/contract/faults";
import { Command, CommanderError } from "commander";
import { z } from "zod";
import { ConfigError, productVersion } from "../config.ts";
import { DomainError } from "../domain/domain-error.ts";
import { DataDirectoryError } from "../store/data-directory.ts";
import { addActionCommands } from "./action.ts";
import { addAgentCommands } from "./agent.ts";
import { type Cli, CommandError, table, UsageError } from "./cli.ts";
import { addClientCommands } from "./client.ts";
import { unreachableText } from "./connection.ts";
import { RefusedAnswer } from "./define.ts";
import { addDelegateCommand } from "./delegate.ts";
import { addDelegationCommands } from "./delegation.ts";
import { addDemoCommand } from "./demo.ts";
import { addDoctorCommand } from "./doctor.ts";
import { addEntryCommands } from "./entry.ts";
import { addFederationCommands } from "./federation.ts";
import { addIssuerCommands } from "./issuer.ts";
import { addKeysCommands, withIdsLast } from "./keys.ts";
import { addLedgerCommands } from "./ledger.ts";
import { addNodeCommands } from "./node.ts";
import { addOperatorCommands } from "./operator.ts";
import { addPolicyCommands } from "./policy.ts";
import { addResourceCommands } from "./resource.ts";
import { addRevokeCommands } from "./revoke.ts";
import { addServeCommand } from "./serve.ts";
import { addTokenCommand } from "./token.ts";
import { addUserCommands } from "./user.ts";

const environmentHelp = [
  "Environment:",
  ...table([
    ["COUNTERSIGN_SERVER", "origin of the server that the commands talk to"],
    ["COUNTERSIGN_DATA_DIR", "where the server's state and the operator's key lie; .countersign unless told"],
    ["COUNTERSIGN_OPERATOR_KEY", "key file of the operator, when it lies elsewhere"],
    ["COUNTERSIGN_ISSUER", "what the server calls itself, fixed at its first start"],
    ["COUNTERSIGN_HOST, COUNTERSIGN_PORT", "where the server listens"],
    ["COUNTERSIGN_KEK", "the server's key-encryption key: 32 random bytes in base64"],
    ["DATABASE_URL", "the server's PostgreSQL; without it, one of its own"],
  ])
    .split("\n")
    .map((line) => `  ${line}`),
  "",
  "Exit codes:",
  "  0  done",
  "  1  refused, failed or not verified",
  "  2  called wrongly: what was typed is wrong, or a file that it names can't be read",
].join("\n");

/** Exit codes: done; refused or failed; called wrongly. */
export type ExitCode = 0 | 1 | 2;

/** Runs one command line, without the program's name, and answers with the process's exit code. */
export async function runCommandLine(cli: Cli, words: readonly string[]): Promise<ExitCode> {
  const program = createProgram(cli);
  try {
    await program.parseAsync(withIdsLast(words), { from: "user" });
    return 0;
  } catch (error) {
    return tellError(cli, error, words.includes("--json"));
  }
}

function createProgram(cli: Cli): Command {
  const program = new Command("countersign")
    .description("An identity provider for AI agents.")
    .version(productVersion())
    .addHelpText("after", `\n${environmentHelp}`)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => cli.print(text.trimEnd()),
      writeErr: (text) => cli.note(text.trimEnd()),
    });
  addServeCommand(program, cli);
  addDemoCommand(program, cli);
  addUserCommands(program, cli);
  addAgentCommands(program, cli);
  addResourceCommands(program, cli);
  addOperatorCommands(program, cli);
  addClientCommands(program, cli);
  addIssuerCommands(program, cli);
  addDelegateCommand(program, cli);
  addDelegationCommands(program, cli);
  addRevokeCommands(program, cli);
  addTokenCommand(program, cli);
  addActionCommands(program, cli);
  addLedgerCommands(program, cli);
  addPolicyCommands(program, cli);
  addEntryCommands(program, cli);
  addNodeCommands(program, cli);
  addFederationCommands(program, cli);
  addKeysCommands(program, cli);
  addDoctorCommand(program, cli);
  return program;
}

/** Tells an error in one line on standard error; with `--json` also as the one value on standard output. */
function tellError(cli: Cli, error: unknown, json: boolean): ExitCode {
  if (error instanceof RefusedAnswer) return 1;
  if (error instanceof CommanderError) {
    // Commander has told it already; asking for help is no error.
    if (json && error.exitCode !== 0) cli.print(errorJson("usage", error.message));
    return error.exitCode === 0 ? 0 : 2;
  }
  const { code, message, exit } = describe(error);
  if (json) cli.print(errorJson(code, message));
  // The code is what the page under docs/errors is named after.
  cli.note(`countersign: ${error instanceof RefusedError ? `refused (${code}): ` : ""}${message}`);
  return exit;
}

function describe(error: unknown): { code: string; message: string; exit: ExitCode } {
  if (error instanceof UsageError || error instanceof ConfigError || error instanceof DataDirectoryError)
    return { code: "usage", message: error.message, exit: 2 };
  if (error instanceof UnreachableError) {
    return { code: "unreachable", message: unreachableText(error), exit: 1 };
  }
  if (error instanceof RefusedError || error instanceof CommandError)
    return { code: error.code, message: error.message, exit: 1 };
  if (error instanceof DomainError) return { code: error.code, message: error.publicDetail, exit: 1 };
  if (error instanceof z.ZodError) {
    const message = `what the server answered is of another version: ${faultText(error)}`;
    return { code: "unexpected_answer", message, exit: 1 };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: "failed", message: message.split("\n", 1)[0] ?? "it failed", exit: 1 };
}

function errorJson(code: string, detail: string): string {
  return JSON.stringify({ error: { code, detail } });
}
