import type { LedgerActor } from "@countersign/sdk/contract/ledger-entry";
import type { LogId } from "@countersign/sdk/model/ids";
import { toBase64 } from "@countersign/sdk/tlog/base64";
import { type Checkpoint, parseCheckpoint } from "@countersign/sdk/tlog/checkpoint";
import { parseNote } from "@countersign/sdk/tlog/note";
import { sameBytes } from "@countersign/sdk/tlog/rfc6962";
import { DomainError } from "../domain/domain-error.ts";
import type { Database } from "../store/database.ts";
import { findLog, type StoredLog, unpublish } from "../store/logs.ts";
import { type StoredTile, writeTiles } from "../store/tiles.ts";
import type { AppendEntry } from "./append.ts";
import { auditLog } from "./audit.ts";
import type { LogStanding } from "./check-log.ts";
import type { CheckpointMemory } from "./checkpoint-memory.ts";
import type { PublishedCheckpoint } from "./publish.ts";

/** What an operator must know of a log before accepting it as it is. */
export interface LogReport {
  readonly log: LogId;
  readonly origin: string;
  readonly state: LogStanding["state"];
  /** The tree of all entries in the database, each hashed anew. */
  readonly present: TreeHead;
  /** The last checkpoint that was signed, as far as is known here. */
  readonly remembered?: TreeHead & { readonly note: string };
  /** The checkpoint that the database holds, and whether the entries make it. */
  readonly published?: { readonly note: string; readonly holds: boolean };
  /**
   * Entries [from, to) were signed and are gone. What they told of has not happened as far as this server knows:
   * delegations that were revoked in them are live, agents suspended in them are active. Known only when `behind`;
   * of a fork nobody can say from here where it begins.
   */
  readonly lost?: { readonly from: number; readonly to: number };
  /** Full tiles that are missing or wrong. */
  readonly tilesWrong: number;
}

/** The root is base64, as in a checkpoint. */
interface TreeHead {
  readonly size: number;
  readonly root: string;
}

export interface InspectDeps {
  readonly db: Database;
  readonly memory: CheckpointMemory;
}

/**
 * Hashes every entry of a log anew and tells how it stands to what was signed. Changes nothing.
 *
 * @throws DomainError `not_found`; `internal` naming the first entry that is missing or is not what was committed
 */
export async function inspectLog(deps: InspectDeps, log: LogId): Promise<LogReport> {
  let tilesWrong = 0;
  const count = async () => {
    tilesWrong++;
  };
  return { ...(await report(deps, await existingLog(deps.db, log), count)), tilesWrong };
}

export interface RecoverDeps extends InspectDeps {
  /** Of a sequencer that does not hold the log against its memory: the log is behind it until this is done. */
  readonly append: AppendEntry;
  readonly publishNow: (log: LogId) => Promise<PublishedCheckpoint>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export interface RecoverRequest {
  readonly log: LogId;
  /** The root of the present tree, as `inspectLog` told it: what the operator has looked at and accepts. */
  readonly accept?: string;
  /** Who accepts it. */
  readonly actor: LedgerActor;
}

export interface Recovery {
  readonly report: LogReport;
  /** Where the log tells of it; absent when nothing was lost and only tiles were made anew. */
  readonly index?: number;
  /** Where the checkpoint of the other tree is kept: together with any of ours it is the proof of a fork. */
  readonly evidence?: string;
  readonly checkpoint: PublishedCheckpoint;
}

/**
 * Makes tiles anew from the entries, and goes on from the database's present state if it is not what was signed and
 * the operator accepts it. Entries are never changed. The log itself then tells of the recovery, with both trees'
 * roots, and what was signed of the other tree is kept: a fork stays visible to everyone who saw it.
 *
 * @throws DomainError what `inspectLog` throws; `conflict` when the present state is not the one accepted
 */
export async function recoverLog(deps: RecoverDeps, request: RecoverRequest): Promise<Recovery> {
  const log = await existingLog(deps.db, request.log);
  const wrong = createTileWriter(deps.db, log.id);
  // Right tiles are wanted whatever else is decided: they follow from the entries.
  const found: LogReport = { ...(await report(deps, log, wrong.write)), tilesWrong: await wrong.finish() };
  const forked = found.published?.holds === false;
  if (!forked && (found.state === "extends" || found.state === "missing")) {
    return { report: found, checkpoint: await deps.publishNow(log.id) };
  }
  if (request.accept !== found.present.root) {
    throw new DomainError("conflict", lossOf(found));
  }
  // In this order a crash leaves the log behind its memory, and recovery can be run again.
  if (forked) await unpublish(deps.db, log.id);
  const { index } = await deps.append(log.id, { entry: recoveredEntry(log, found, request.actor) });
  const evidence = await deps.memory.setAside(log.id, new Date(deps.now()));
  const checkpoint = await deps.publishNow(log.id);
  return { report: found, index, checkpoint, ...(evidence === undefined ? {} : { evidence }) };
}

/** What an operator reads before accepting it. */
function lossOf({ log, state, lost, remembered, published, present }: LogReport): string {
  const gone =
    lost && `entries ${lost.from} to ${lost.to - 1} were signed and are gone, revocations among them too`;
  const other = remembered && `it holds other entries than were signed in its first ${remembered.size}`;
  const unfounded = published?.holds === false ? "its entries do not make its checkpoint" : undefined;
  const what = gone ?? (state === "forked" ? (unfounded ?? other) : unfounded) ?? state;
  return `log ${log}: ${what}; to go on with the ${present.size} entries that are there, accept the root ${present.root}`;
}

async function report(
  { db, memory }: InspectDeps,
  log: StoredLog,
  onWrongTile: (tile: StoredTile) => Promise<void>,
): Promise<Omit<LogReport, "tilesWrong">> {
  const remembered = await memory.recall(log.id);
  const sizes = [log.publishedSize, ...(remembered === undefined ? [] : [remembered.checkpoint.size])];
  const roots = await auditLog(db, log, sizes, onWrongTile);
  const holds = (checkpoint: Checkpoint) =>
    checkpoint.origin === log.origin &&
    sameBytes(roots.get(checkpoint.size) ?? new Uint8Array(0), checkpoint.root);
  const published =
    log.checkpoint === undefined ? undefined : parseCheckpoint(parseNote(log.checkpoint)?.text ?? "");
  const publishedHolds = published?.size === log.publishedSize && holds(published);
  const head = (size: number) => ({ size, root: toBase64(roots.get(size) ?? new Uint8Array(0)) });
  const base = {
    log: log.id,
    origin: log.origin,
    present: head(log.nextIndex),
    ...(log.checkpoint === undefined ? {} : { published: { note: log.checkpoint, holds: publishedHolds } }),
  };
  if (remembered === undefined) return { ...base, state: "missing" };
  const { note, checkpoint } = remembered;
  const signed = { ...base, remembered: { size: checkpoint.size, root: toBase64(checkpoint.root), note } };
  if (checkpoint.size > log.nextIndex) {
    return { ...signed, state: "behind", lost: { from: log.nextIndex, to: checkpoint.size } };
  }
  return { ...signed, state: holds(checkpoint) ? "extends" : "forked" };
}

function recoveredEntry(
  log: StoredLog,
  { state, present, remembered, published }: LogReport,
  actor: LedgerActor,
) {
  return {
    type: "log.recovered" as const,
    actor,
    ...(log.organization === undefined ? {} : { organization: log.organization }),
    cause: state,
    detail: {
      present_size: present.size,
      present_root: present.root,
      ...(remembered === undefined
        ? {}
        : {
            remembered_size: remembered.size,
            remembered_root: remembered.root,
            remembered_checkpoint: remembered.note,
          }),
      ...(published?.holds === false ? { unfounded_checkpoint: published.note } : {}),
    },
  };
}

async function existingLog(db: Database, id: LogId): Promise<StoredLog> {
  const log = await findLog(db, id);
  if (log === undefined) throw new DomainError("not_found", `there is no log ${id}`);
  return log;
}

const tilesAtOnce = 64;

/** Writes tiles in handfuls, and counts them. */
function createTileWriter(db: Database, log: LogId) {
  let count = 0;
  let waiting: StoredTile[] = [];
  async function flush(): Promise<void> {
    if (waiting.length > 0) await writeTiles(db, log, waiting);
    waiting = [];
  }
  return {
    async write(tile: StoredTile): Promise<void> {
      count++;
      waiting.push(tile);
      if (waiting.length === tilesAtOnce) await flush();
    },
    async finish(): Promise<number> {
      await flush();
      return count;
    },
  };
}
