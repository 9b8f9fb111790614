import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import { consistencyProofSchema } from "@countersign/sdk/contract/log-proofs";
import type { LogId } from "@countersign/sdk/model/ids";
import { fromBase64 } from "@countersign/sdk/tlog/base64";
import type { Checkpoint } from "@countersign/sdk/tlog/checkpoint";
import { type ExportTrust, type ExportVerdict, verifyExport } from "@countersign/sdk/tlog/export";
import { linesOf } from "@countersign/sdk/tlog/export-lines";
import { verifyConsistency } from "@countersign/sdk/tlog/proof";
import { openCheckpointMemory } from "../ledger/checkpoint-memory.ts";
import { type Answer, type Cli, CommandError, table, UsageError } from "./cli.ts";
import { getPublic, operatorClient } from "./connection.ts";

/** How the log relates to the last checkpoint that this data directory remembers. */
interface Remembered {
  readonly ok: boolean;
  readonly word: string;
}
/** What an export shows that holds together. */
export type Findings = Extract<ExportVerdict, { ok: true }>;

/** Verifies an export without talking to anybody. */
export async function verifyExportFile(file: string, vkeys: readonly string[]): Promise<Answer> {
  return answerOf(await verdictOnFile(file, { vkeys }), undefined);
}

/** What an export in a file shows. @throws UsageError for what is no export */
export async function verdictOnFile(file: string, trust: ExportTrust): Promise<ExportVerdict> {
  if (!existsSync(file)) throw new UsageError(`${file} does not exist`);
  const octets = createReadStream(file);
  const verdict = await verdictOn(octets, trust).catch((error: unknown) => {
    throw octets.errored ? new UsageError(`${file} can't be read`, { cause: error }) : error;
  });
  // What does not even begin like an export is another file than was meant.
  const isOther =
    !verdict.ok &&
    verdict.problem.line === 1 &&
    ["malformed_line", "unexpected_record"].includes(verdict.problem.code);
  if (isOther) throw new UsageError(`${file} does not hold what \`ledger export\` writes`);
  return verdict;
}

/** Verifies a log as the server exports it, and that it continues what this data directory remembers of it. */
export async function verifyServedLog(cli: Cli, log: LogId, vkeys: readonly string[]): Promise<Answer> {
  // Recalled before the export is asked for: a server here moves on meanwhile, and remembers that too.
  const known = await recallHere(cli, log);
  const verdict = await verdictOnServed(cli, log, { vkeys });
  return answerOf(verdict, verdict.ok ? await compare(cli, log, verdict, known) : undefined);
}

/** What a log shows as the server exports it. */
export async function verdictOnServed(cli: Cli, log: LogId, trust: ExportTrust): Promise<ExportVerdict> {
  const client = await operatorClient(cli);
  const { body } = await client.fetchRaw({ method: "GET", path: `/log/${log}/export`, scope: "audit" });
  if (body === null) throw new CommandError("unexpected_answer", "the server sent an empty export");
  return verdictOn(body, trust);
}

async function recallHere(cli: Cli, log: LogId): Promise<Checkpoint | undefined> {
  const { dataDir } = cli.readConfig();
  if (!existsSync(join(dataDir, "checkpoints"))) return undefined;
  return (await (await openCheckpointMemory(dataDir)).recall(log))?.checkpoint;
}

async function verdictOn(octets: AsyncIterable<Uint8Array>, trust: ExportTrust): Promise<ExportVerdict> {
  try {
    return await verifyExport(linesOf(octets), trust);
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

async function compare(
  cli: Cli,
  log: LogId,
  found: Findings,
  known: Checkpoint | undefined,
): Promise<Remembered> {
  if (known === undefined) {
    return { ok: true, word: "nothing is remembered here: whether the log went back in time can't be told" };
  }
  if (known.size > found.size)
    return { ok: false, word: `the log had ${known.size} entries, and has ${found.size}` };
  const proof = await consistencyOf(cli, log, known.size, found.size);
  const root = fromBase64(found.root);
  const continues =
    root !== undefined &&
    verifyConsistency({ from: known.size, fromRoot: known.root, to: found.size, toRoot: root, proof });
  const word = continues ? "continues" : "contradicts";
  return { ok: continues, word: `${word} the checkpoint of ${known.size} entries that is remembered here` };
}

async function consistencyOf(cli: Cli, log: LogId, from: number, to: number): Promise<Uint8Array[]> {
  const response = await getPublic(cli, `/log/${log}/proof/consistency?from=${from}&to=${to}`);
  const { hashes } = consistencyProofSchema.parse(await response.json());
  return hashes.map(fromBase64).filter((hash) => hash !== undefined);
}

function answerOf(verdict: ExportVerdict, remembered: Remembered | undefined): Answer {
  if (!verdict.ok) return notVerified(verdict);
  const ok = remembered?.ok ?? true;
  return {
    json: { ...verdict, ok, ...(remembered && { remembered: remembered.word }) },
    text: `${ok ? "verified" : "NOT VERIFIED"}\n${rowsOf(verdict, remembered)}`,
    refused: !ok,
  };
}

/** The answer to an export in which something is wrong. */
export function notVerified(verdict: Extract<ExportVerdict, { ok: false }>): Answer {
  const { detail, line, index } = verdict.problem;
  const where = index === undefined ? `line ${line}` : `entry ${index}`;
  return { json: verdict, text: `NOT VERIFIED: ${where}: ${detail}`, refused: true };
}

/** Whose keys an export was verified by. */
export function keysText({ keys }: Findings): string {
  return keys === "given" ? "yours" : "self-asserted: give the key you trust with --vkey";
}

function rowsOf(verdict: Findings, remembered: Remembered | undefined): string {
  const witnesses = verdict.witnesses.map(({ name }) => name).join(", ");
  return table([
    ["log", verdict.origin],
    ["entries", verdict.size],
    ["root", verdict.root],
    ["keys", keysText(verdict)],
    ["witnesses", witnesses === "" ? "none: the checkpoint is self-asserted" : witnesses],
    ...(verdict.recoveries.length > 0
      ? [["recovered at", verdict.recoveries.join(", ")] satisfies [string, string]]
      : []),
    ...(remembered ? [["memory", remembered.word] satisfies [string, string]] : []),
  ]);
}
