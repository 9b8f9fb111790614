import type { LogId } from "@countersign/sdk/model/ids";
import type { NodeOptions, RunningNode } from "../app/run-node.ts";
import type { App } from "../app.ts";
import type { Config, ConfigOverrides } from "../config.ts";
import type { Recovery } from "../ledger/recover.ts";

/** What the commands have to do with the world. */
export interface Cli {
  /** The settings. @throws ConfigError */
  readConfig(overrides?: ConfigOverrides): Config;
  /** Writes one answer to standard output. */
  print(text: string): void;
  /** Writes a remark for people to standard error. */
  note(text: string): void;
  readonly fetch: typeof globalThis.fetch;
  /** Milliseconds since the epoch. */
  now(): number;
  randomBytes(count: number): Uint8Array;
  /** Runs a server until it is closed. */
  startApp(config: Config): Promise<App>;
  /** Runs a node until it is closed. */
  runNode(options: NodeOptions): Promise<RunningNode>;
  /** Makes a log that is not what was signed go on from where the database stands. */
  recoverLedger(
    config: Config,
    request: { readonly log: LogId; readonly accept?: string },
  ): Promise<Recovery>;
  /** Whether somebody sits at standard input who can be asked. */
  readonly isTerminal: boolean;
  /** Asks whoever sits there; anything but a clear yes is a no. */
  confirm(question: string): Promise<boolean>;
  /** Answers when the process is asked to end (SIGINT, SIGTERM, SIGHUP). */
  untilAsked(): Promise<void>;
}

/** What a command answers: a value for programs, and the same in words. */
export interface Answer {
  readonly json: unknown;
  readonly text: string;
  /** Where the ledger tells of what the command changed: the last line of the words. */
  readonly recorded?: { readonly log: string; readonly index: number } | undefined;
  /** Whether the answer is a no: the process exits with 1. */
  readonly refused?: boolean;
}

/** The command line is wrong: exit 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A command can't do what it was asked, for a reason that the message tells, with what to do: exit 1. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/**
 * The same text with every character spelled out, as JSON would, that would steer a terminal or turn text around: what is
 * shown may have been named by anybody. Only line ends stay.
 */
export function harmless(text: string): string {
  return text.replace(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, (char) =>
    char === "\n" ? char : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Lines of `name  value`, the values in one column. */
export function table(rows: readonly (readonly [string, string | number])[]): string {
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}
