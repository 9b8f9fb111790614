import { entryEnvelopeSchema } from "@countersign/sdk/contract/entry-envelope";
import type { LogId } from "@countersign/sdk/model/ids";
import { toBase64 } from "@countersign/sdk/tlog/base64";
import { type ExportRecord, formatExportRecord } from "@countersign/sdk/tlog/export-record";
import { parseNote } from "@countersign/sdk/tlog/note";
import { partialTiles, tileWidth } from "@countersign/sdk/tlog/tile";
import { formatVerifierKey, verifierKey } from "@countersign/sdk/tlog/vkey";
import { z } from "zod";
import { DomainError } from "../domain/domain-error.ts";
import type { Database } from "../store/database.ts";
import { readEntries, type StoredEntry } from "../store/ledger-entries.ts";
import {
  readDecisionInputs,
  readLogPublicJwks,
  readPolicyTexts,
  type StoredDecisionInput,
} from "../store/ledger-evidence.ts";
import { findLog, type StoredLog } from "../store/logs.ts";
import { findTileOctets, ledgerDamaged, type TileKey } from "./tiles.ts";

export interface ExportDeps {
  readonly db: Database;
  /** The plaintext of a decision's input, or null when it was erased. */
  readonly openInput: (input: StoredDecisionInput) => string | null | Promise<string | null>;
}

const entriesAtOnce = 512;

/**
 * The lines of an export of a log, up to its checkpoint at the time of the call, without their newlines. What the
 * database lacks is left out, not invented: whoever verifies the export is told.
 *
 * @throws DomainError `not_found` for a log without a checkpoint
 * @see exportRecordSchema for the order of the records
 */
export async function* exportLog(deps: ExportDeps, log: LogId): AsyncGenerator<string> {
  for await (const record of recordsOf(deps, log)) yield formatExportRecord(record);
}

async function* recordsOf(deps: ExportDeps, id: LogId): AsyncGenerator<ExportRecord> {
  const log = await findLog(deps.db, id);
  if (log?.checkpoint === undefined) throw new DomainError("not_found", "the log has no checkpoint yet");
  const vkeys = await keysThatSigned(deps.db, log, log.checkpoint);
  yield { kind: "header", format: "countersign-export/v1", origin: log.origin, vkeys };
  yield { kind: "checkpoint", note: log.checkpoint };
  const policies = new Set<string>();
  const size = log.publishedSize;
  for (let from = 0; from < size; from += entriesAtOnce) {
    const page = await readPage(deps, log, from, Math.min(size, from + entriesAtOnce), policies);
    for (const { index, entry, cited } of page) {
      if (cited?.newPolicy !== undefined) yield { kind: "policy", ...cited.newPolicy };
      yield { kind: "entry", index, entry };
      if (cited !== undefined) yield { kind: "input", ...cited.input };
      yield* tileRecords(deps.db, id, tilesFilledBy(index));
    }
  }
  yield* tileRecords(deps.db, id, partialTiles(size));
}

/** What an entry cites, as it travels with the export. */
interface Cited {
  /** Set at the first entry that cites it, if it is there. */
  readonly newPolicy: { readonly hash: string; readonly text: string } | undefined;
  readonly input: { readonly hash: string; readonly text: string | null };
}

async function readPage(deps: ExportDeps, log: StoredLog, from: number, to: number, policies: Set<string>) {
  const page = (await readEntries(deps.db, log.id, from, to)).map((entry) => ({
    ...entry,
    decision: decisionOf(entry),
  }));
  const decisions = page.map(({ decision }) => decision).filter((decision) => decision !== undefined);
  const unseen = [...new Set(decisions.map(({ policy }) => policy))].filter((hash) => !policies.has(hash));
  const texts = await readPolicyTexts(deps.db, unseen);
  const hashes = decisions.map(({ input }) => input);
  const inputs =
    log.organization === undefined ? undefined : await readDecisionInputs(deps.db, log.organization, hashes);
  const lines: { index: number; entry: string; cited: Cited | undefined }[] = [];
  for (const { index, entry, decision } of page) {
    let cited: Cited | undefined;
    if (decision !== undefined) {
      const text = policies.has(decision.policy) ? undefined : texts.get(decision.policy);
      policies.add(decision.policy);
      const sealed = inputs?.get(decision.input);
      cited = {
        newPolicy: text === undefined ? undefined : { hash: decision.policy, text },
        input: { hash: decision.input, text: sealed === undefined ? null : await deps.openInput(sealed) },
      };
    }
    lines.push({ index, entry, cited });
  }
  return lines;
}

/** The decision of an entry, by its policy and its input; none where the entry is not one, which is for the verifier to say. */
export function decisionOf({ entry }: StoredEntry): { policy: string; input: string } | undefined {
  try {
    return entryEnvelopeSchema.safeParse(JSON.parse(entry)).data?.decision;
  } catch {
    return undefined;
  }
}

function tilesFilledBy(index: number): TileKey[] {
  const tiles: TileKey[] = [];
  for (let level = 0, count = index + 1; count % tileWidth === 0; level++) {
    count /= tileWidth;
    tiles.push({ level, index: count - 1, width: tileWidth });
  }
  return tiles;
}

async function* tileRecords(
  db: Database,
  log: LogId,
  tiles: readonly TileKey[],
): AsyncGenerator<ExportRecord> {
  for (const tile of tiles) {
    const octets = await findTileOctets(db, log, tile);
    if (octets !== undefined)
      yield { kind: "tile", level: tile.level, index: tile.index, hashes: toBase64(octets) };
  }
}

const ed25519JwkSchema = z.looseObject({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: z.string() });

async function keysThatSigned(db: Database, log: StoredLog, checkpoint: string): Promise<string[]> {
  const signatures = parseNote(checkpoint)?.signatures ?? [];
  const known = (await readLogPublicJwks(db, log.id)).map((jwk) => {
    const { x } = ed25519JwkSchema.parse(JSON.parse(jwk));
    return verifierKey(log.origin, Buffer.from(x, "base64url"));
  });
  const signed = known.filter(({ name, id }) =>
    signatures.some((one) => one.name === name && one.keyId === id),
  );
  if (signed.length === 0) throw ledgerDamaged(log.id, "no known key signed its checkpoint");
  return signed.map(formatVerifierKey);
}
