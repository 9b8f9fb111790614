import { faultsOf, ourWords } from "@countersign/sdk/contract/faults";
import { parseLogId } from "@countersign/sdk/model/ids";
import { parseDecimal } from "@countersign/sdk/tlog/checkpoint";
import { parseVerifierKey } from "@countersign/sdk/tlog/vkey";
import { type Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { isManifestPath } from "../svid/attest/workload/agent-checksum.ts";
import { type Answer, type Cli, UsageError } from "./cli.ts";

/** One command: how it is called, and what it does. */
export interface CommandSpec<Given> {
  /** Name and arguments, `prove <index>`. */
  readonly usage: string;
  readonly description: string;
  /** The arguments of one sensible call, shown by --help. */
  readonly example: string;
  readonly options?: readonly Option[];
  /** Reads arguments (by name) and options together. */
  readonly given: z.ZodType<Given>;
  run(given: Given & { readonly json: boolean }): Promise<Answer | undefined>;
}

/**
 * Adds a command under `parent`. It takes `--json`, and then prints one JSON value; an answer that is undefined has
 * been printed already.
 */
export function defineCommand<Given extends object>(
  parent: Command,
  cli: Cli,
  spec: CommandSpec<Given>,
): void {
  const command = parent.command(spec.usage).description(spec.description);
  for (const option of spec.options ?? []) command.addOption(option);
  command.option("--json", "print one JSON value on standard output");
  command.addHelpText("after", `\nExample:\n  $ ${[pathOf(command), spec.example].join(" ").trimEnd()}`);
  command.action(async () => {
    const { json = false, ...options } = command.opts<{ json?: boolean }>();
    const names = command.registeredArguments.map((argument) => argument.name());
    const named = Object.fromEntries(
      names.map((name, place) => [name, command.processedArgs[place] as unknown]),
    );
    const given = parseGiven(command, spec.given, { ...named, ...options });
    const answer = await spec.run({ ...given, json });
    if (answer === undefined) return;
    cli.print(json ? JSON.stringify(answer.json) : wordsOf(answer));
    if (answer.refused) throw new RefusedAnswer();
  });
}

function wordsOf({ text, recorded }: Answer): string {
  return recorded === undefined ? text : `${text}\nrecorded: log ${recorded.log}, entry ${recorded.index}`;
}

/** The answer has been printed and it is a no. */
export class RefusedAnswer extends Error {
  override readonly name = "RefusedAnswer";
}

function parseGiven<Given>(command: Command, schema: z.ZodType<Given>, value: unknown): Given {
  const parsed = schema.safeParse(value, { error: ourWords });
  if (parsed.success) return parsed.data;
  const [fault] = faultsOf(parsed.error);
  const where = nameAsTyped(command, String(fault?.path[0] ?? ""));
  throw new UsageError(`${where === "" ? "" : `${where}: `}${fault?.words ?? "the arguments are wrong"}`);
}

function nameAsTyped(command: Command, name: string): string {
  return command.options.find((option) => option.attributeName() === name)?.long ?? name;
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

/** An option without which the command is called wrongly: exit 2. */
export function required(flags: string, description: string): Option {
  return new Option(flags, `${description} (required)`).makeOptionMandatory();
}

/** An option that may be left out. */
export function optional(flags: string, description: string): Option {
  return new Option(flags, description);
}

const valuesMax = 64;

/** An option that may be given several times; the values come as a list. */
export function repeated(flags: string, description: string): Option {
  return new Option(flags, `${description} (may be repeated)`).argParser((value: string, before: unknown) => {
    const values = [...(Array.isArray(before) ? before : []), value];
    if (values.length > valuesMax) throw new InvalidArgumentError(`at most ${valuesMax} values`);
    return values;
  });
}

/** Text that an option or argument holds. */
export const someText = z.string().min(1, "is empty").max(4096, "is longer than 4096 characters");

export function measureOption(): Option {
  return optional(
    "--measure <path>",
    "where an agent's configuration lies as its owner put it: absolute, or below the agent's working directory",
  );
}

/** Where a workload's manifest lies, for `--measure`. */
export const aManifestPath = someText.refine(
  isManifestPath,
  'must be the path of a file, without "." and ".."',
);

/** Scopes, as the values of an option that may be given several times. */
export const someScopes = z.array(someText.regex(/^\S+$/, "takes one scope; repeat it for more"));

/** A key of a log, as signed-note verifiers take it. */
export const aVerifierKey = someText.refine(
  (text) => parseVerifierKey(text) !== undefined,
  "must be a key as `countersign keys list --json` shows it",
);

/** The id of a thing whose ids begin so. */
export const anId = (
  prefix:
    | "act_"
    | "agt_"
    | "dlg_"
    | "ent_"
    | "iss_"
    | "map_"
    | "nod_"
    | "opr_"
    | "prp_"
    | "res_"
    | "tok_"
    | "usr_",
) => someText.startsWith(prefix, `must begin with ${prefix}`);

/** The name of a log. */
export const aLog = z.string().transform((text, context) => {
  const log = parseLogId(text);
  if (log !== undefined) return log;
  context.addIssue({ code: "custom", message: "must be the name of a log" });
  return z.NEVER;
});

/** The index of an entry. */
export const anIndex = z.string().transform((text, context) => {
  const index = parseDecimal(text);
  if (index !== undefined) return index;
  context.addIssue({ code: "custom", message: "must be the index of an entry, from 0 up" });
  return z.NEVER;
});
