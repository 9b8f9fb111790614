import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { toBase64 } from "@countersign/sdk/tlog/base64";
import type { Command } from "commander";
import { z } from "zod";
import type { Recovery } from "../ledger/recover.ts";
import { type Cli, table, UsageError } from "./cli.ts";
import { getPublic, oncePublished, operatorClient } from "./connection.ts";
import { aLog, anIndex, aVerifierKey, defineCommand, optional, repeated, someText } from "./define.ts";
import { expectNewFile } from "./key-file.ts";
import { addVerifyReceipt } from "./receipt-evidence.ts";
import { verifyExportFile, verifyServedLog } from "./verify-ledger.ts";

const logOption = () => optional("--log <log>", "which log").default("default", "default");

/** `countersign ledger …` */
export function addLedgerCommands(program: Command, cli: Cli): void {
  const ledger = program.command("ledger").description("the record of everything, and its proofs");
  addVerify(ledger, cli);
  addReading(ledger, cli);
  addExport(ledger, cli);
  addRecover(ledger, cli);
  addVerifyReceipt(ledger, cli);
}

function addRecover(ledger: Command, cli: Cli): void {
  defineCommand(ledger, cli, {
    usage: "recover",
    description:
      "let a log that is not what was signed go on from what is there; on the server's machine, with the server stopped",
    example: "--log default",
    options: [logOption(), optional("--accept <root>", "root of the present tree: the loss is accepted")],
    given: z.object({ log: aLog, accept: someText.optional() }),
    run: async ({ log, accept }) => {
      const request = { log, ...(accept !== undefined && { accept }) };
      const recovery = await cli.recoverLedger(cli.readConfig(), request);
      const { checkpoint } = recovery;
      return {
        json: { ...recovery, checkpoint: { ...checkpoint, root: toBase64(checkpoint.root) } },
        text: recoveryText(recovery),
      };
    },
  });
}

function recoveryText({ report, index, evidence, checkpoint }: Recovery): string {
  const { lost } = report;
  const isRight = report.state === "extends" && index === undefined && report.tilesWrong === 0;
  return table([
    ["log", report.log],
    ["was", isRight ? "as it was signed: there is nothing to recover" : report.state],
    ...(lost ? [["lost", `entries ${lost.from} to ${lost.to - 1}`] satisfies [string, string]] : []),
    ...(index === undefined ? [] : [["recorded", `entry ${index}`] satisfies [string, string]]),
    ...(evidence === undefined ? [] : [["evidence", evidence] satisfies [string, string]]),
    ["goes on from", `${checkpoint.size} entries`],
  ]);
}

function addVerify(ledger: Command, cli: Cli): void {
  defineCommand(ledger, cli, {
    usage: "verify [export]",
    description:
      "replay every entry, tile and checkpoint, and name the first that is wrong; offline with an export",
    example: "default.ndjson --vkey 127.0.0.1:8460/log/default+1a2b3c4d+AX…",
    options: [
      optional("--log <log>", "which log of the server; default, unless told"),
      repeated("--vkey <key>", "a key of the log that you trust, as `countersign keys list --json` shows it"),
    ],
    given: z.object({
      export: someText.optional(),
      log: aLog.optional(),
      vkey: z.array(aVerifierKey).default([]),
    }),
    run: async ({ export: file, log, vkey }) => {
      if (file === undefined) return verifyServedLog(cli, log ?? aLog.parse("default"), vkey);
      if (log !== undefined)
        throw new UsageError("--log names a log of the server; an export says itself which log it is of");
      return verifyExportFile(file, vkey);
    },
  });
}

function addReading(ledger: Command, cli: Cli): void {
  defineCommand(ledger, cli, {
    usage: "checkpoint",
    description: "show the last signed checkpoint",
    example: "--log default",
    options: [logOption()],
    given: z.object({ log: aLog }),
    run: async ({ log }) => {
      const note = await (await getPublic(cli, `/log/${log}/checkpoint`)).text();
      return { json: { log, checkpoint: note }, text: note.trimEnd() };
    },
  });
  defineCommand(ledger, cli, {
    usage: "prove <index>",
    description: "get the proof that an entry is in the log, complete in itself (C2SP tlog-proof)",
    example: "42",
    options: [logOption()],
    given: z.object({ index: anIndex, log: aLog }),
    run: async ({ index, log }) => {
      const response = await oncePublished(cli, () => getPublic(cli, `/log/${log}/proof/${index}`));
      const proof = await response.text();
      return { json: { log, index, proof }, text: proof.trimEnd() };
    },
  });
  defineCommand(ledger, cli, {
    usage: "show <index>",
    description: "show an entry, exactly as it was hashed",
    example: "42",
    options: [logOption()],
    given: z.object({ index: anIndex, log: aLog }),
    run: async ({ index, log }) => {
      const client = await operatorClient(cli);
      const path = `/log/${log}/entry/${index}`;
      const response = await oncePublished(cli, () =>
        client.fetchRaw({ method: "GET", path, scope: "audit" }),
      );
      const entry = await response.text();
      return { json: { log, index, entry }, text: entry };
    },
  });
}

function addExport(ledger: Command, cli: Cli): void {
  defineCommand(ledger, cli, {
    usage: "export",
    description: "write all of a log as newline-delimited JSON, for `ledger verify` anywhere",
    example: "--log default --out default.ndjson",
    options: [logOption(), optional("--out <file>", "where to; without it, standard output")],
    given: z.object({ log: aLog, out: someText.optional() }),
    run: async ({ log, out, json }) => {
      if (json && out === undefined)
        throw new UsageError("--json needs --out: the export is not one JSON value");
      if (out !== undefined) expectNewFile(out);
      const client = await operatorClient(cli);
      const { body } = await client.fetchRaw({ method: "GET", path: `/log/${log}/export`, scope: "audit" });
      const octets = Readable.from(body ?? []);
      if (out === undefined) {
        await pipeline(octets, process.stdout, { end: false });
        return undefined;
      }
      await pipeline(octets, createWriteStream(out, { flags: "wx", mode: 0o600 }));
      return { json: { log, file: out }, text: `log ${log} is in ${out}` };
    },
  });
}
