import { openCheckpoint } from "./checkpoint.ts";
import { ExportFault, type ExportProblem } from "./export-fault.ts";
import { type ExportRecord, parseExportRecord } from "./export-record.ts";
import { type ExportFindings, finishReplay, type Replay, startReplay, takeRecord } from "./export-replay.ts";
import { type Sha256, sha256 } from "./rfc6962.ts";
import { parseVerifierKey, trustedKeys, type VerifierKey } from "./vkey.ts";

/** Whom the caller trusts. What an export says of its own keys proves nothing. */
export interface ExportTrust {
  /** Verifier keys of the log, obtained elsewhere. With none the export is checked by the keys in its own header. */
  readonly vkeys?: readonly string[];
  /** Verifier keys of witnesses. */
  readonly witnesses?: readonly string[];
  readonly sha256?: Sha256;
  /** Told each record that is right as far as can be seen by then; a verdict that is not `ok` takes all of it back. */
  readonly onRecord?: (record: ExportRecord) => void | Promise<void>;
}

/** What an export shows, or the first thing that is wrong with it. */
export type ExportVerdict =
  | ({ readonly ok: true } & ExportFindings)
  | { readonly ok: false; readonly problem: ExportProblem };

/**
 * Verifies a whole export offline: each entry's octets, the order and completeness of the entries, every tile, the
 * checkpoint and its signature, each policy version and decision input. It holds the right edge of the tree and the
 * hashes of the policy versions in memory, whatever the export's size.
 *
 * @param lines the export's lines without their newlines
 * @throws TypeError when a key that the caller gave is none; whatever `lines` throws
 */
export async function verifyExport(
  lines: AsyncIterable<string>,
  trust: ExportTrust = {},
): Promise<ExportVerdict> {
  const keys = {
    log: trustedKeys(trust.vkeys),
    witnesses: trustedKeys(trust.witnesses),
  };
  let line = 0;
  let header: Header | undefined;
  let replay: Replay | undefined;
  try {
    for await (const text of lines) {
      line++;
      const record = parseExportRecord(text);
      if (record === undefined)
        throw new ExportFault("malformed_line", "the line is not a record of an export");
      if (header === undefined) header = readHeader(record);
      else if (replay === undefined) replay = await openReplay(record, header, keys, trust.sha256 ?? sha256);
      else takeRecord(replay, record, line);
      await trust.onRecord?.(record);
    }
    if (replay === undefined) throw new ExportFault("truncated", "the export ends before its checkpoint");
    return { ok: true, ...finishReplay(replay) };
  } catch (error) {
    if (!(error instanceof ExportFault)) throw error;
    // A tile that differs is judged only at the end; it is the first problem all the same.
    return { ok: false, problem: replay?.suspect?.problem ?? error.at(line) };
  }
}

interface Header {
  readonly origin: string;
  readonly keys: readonly VerifierKey[];
}

function readHeader(record: ExportRecord): Header {
  if (record.kind !== "header")
    throw new ExportFault("unexpected_record", "an export begins with its header");
  const keys = record.vkeys.map((vkey) => parseVerifierKey(vkey)).filter((key) => key !== undefined);
  if (keys.length !== record.vkeys.length || keys.some(({ name }) => name !== record.origin)) {
    throw new ExportFault("bad_header", "the header names something that is not a key of its log");
  }
  return { origin: record.origin, keys };
}

async function openReplay(
  record: ExportRecord,
  header: Header,
  given: { readonly log: readonly VerifierKey[]; readonly witnesses: readonly VerifierKey[] },
  hash: Sha256,
): Promise<Replay> {
  if (record.kind !== "checkpoint")
    throw new ExportFault("unexpected_record", "the checkpoint follows the header");
  const own = await openCheckpoint(record.note, { logKeys: header.keys, witnessKeys: given.witnesses });
  if (!own.ok) throw new ExportFault("bad_checkpoint", own.why);
  if (own.checkpoint.origin !== header.origin || own.signedBy.length !== header.keys.length) {
    throw new ExportFault("bad_header", "the header's keys are not those that signed the checkpoint");
  }
  const pinned = given.log.length === 0 ? own : await openCheckpoint(record.note, { logKeys: given.log });
  if (!pinned.ok) throw new ExportFault("bad_checkpoint", pinned.why);
  return startReplay(hash, own.checkpoint, {
    keys: given.log.length === 0 ? "self-asserted" : "given",
    signedBy: pinned.signedBy,
    witnesses: own.witnesses,
  });
}
