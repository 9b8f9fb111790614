import type { ExportRecord } from "@countersign/sdk/tlog/export-record";
import type { Command } from "commander";
import { z } from "zod";
import type { DecisionSaid } from "../policy/replay.ts";
import { type Disagreement, type ReplayFindings, startLogReplay } from "../policy/replay-log.ts";
import { type Answer, type Cli, table, UsageError } from "./cli.ts";
import { aLog, anIndex, aVerifierKey, defineCommand, optional, repeated, someText } from "./define.ts";
import { type Findings, keysText, notVerified, verdictOnFile, verdictOnServed } from "./verify-ledger.ts";

/** `countersign policy replay`: makes the recorded decisions again. */
export function addPolicyReplay(policy: Command, cli: Cli): void {
  defineCommand(policy, cli, {
    usage: "replay [export]",
    description:
      "make every recorded decision again, by its own policy and from its own input, and name the first that differs; offline with an export",
    example: "default.ndjson --vkey 127.0.0.1:8460/log/default+1a2b3c4d+AX…",
    options: [
      optional("--log <log>", "which log of the server; default, unless told"),
      optional("--from <index>", "the first entry whose decision is made again; 0, unless told"),
      optional("--to <index>", "the last one; the log's last, unless told"),
      repeated("--vkey <key>", "a key of the log that you trust, as `countersign keys list --json` shows it"),
    ],
    given: z.object({
      export: someText.optional(),
      log: aLog.optional(),
      from: anIndex.default(0),
      to: anIndex.optional(),
      vkey: z.array(aVerifierKey).default([]),
    }),
    run: async ({ export: file, log, from, to = Number.MAX_SAFE_INTEGER, vkey }) => {
      if (file !== undefined && log !== undefined)
        throw new UsageError("--log names a log of the server; an export says itself which log it is of");
      if (to < from) throw new UsageError("--to comes before --from");
      const replay = startLogReplay({ from, to });
      const trust = { vkeys: vkey, onRecord: withProgress(cli, replay.take) };
      const verdict =
        file === undefined
          ? await verdictOnServed(cli, log ?? aLog.parse("default"), trust)
          : await verdictOnFile(file, trust);
      // Of a log that is not what was signed, no decision is known.
      return verdict.ok ? answerOf(verdict, replay.findings()) : notVerified(verdict);
    },
  });
}

const entriesPerRemark = 10_000;

function withProgress(cli: Cli, take: (record: ExportRecord) => Promise<void>) {
  return async (record: ExportRecord) => {
    await take(record);
    if (record.kind === "entry" && record.index > 0 && record.index % entriesPerRemark === 0)
      cli.note(`${record.index} entries read`);
  };
}

function answerOf(verdict: Findings, findings: ReplayFindings): Answer {
  const { first, decisions, agreed, disagreed, unreadable, erased } = findings;
  const { origin, size, keys } = verdict;
  const rows = table([
    ["log", origin],
    ["entries", size],
    ["keys", keysText(verdict)],
    ["decisions", decisions],
    ["agreed", agreed],
    ["disagreed", disagreed],
    ["unreadable", unreadable],
    ["inputs erased", erased],
  ]);
  const ok = first === undefined;
  return {
    json: { ok, origin, size, keys, ...findings },
    text: `${ok ? "agreed" : `NOT AGREED: ${firstText(first)}`}\n${rows}`,
    refused: !ok,
  };
}

function firstText(first: Disagreement): string {
  if (first.is === "unreadable") return `entry ${first.index} can't be made again: ${first.why}`;
  return `entry ${first.index}: recorded was ${saidText(first.expected)}, made again it is ${saidText(first.got)}`;
}

function saidText({ effect, rule, obligations = [] }: DecisionSaid): string {
  const duties = obligations.map(({ kind, rule: line }) => `${kind} by ${line}`).join(", ");
  return `${effect} by ${rule}${duties === "" ? "" : ` with ${duties}`}`;
}
