import type { LogId } from "@countersign/sdk/model/ids";
import { type Checkpoint, parseCheckpoint } from "@countersign/sdk/tlog/checkpoint";
import { frontierRoot } from "@countersign/sdk/tlog/frontier";
import { parseNote } from "@countersign/sdk/tlog/note";
import { sameBytes } from "@countersign/sdk/tlog/rfc6962";
import { DomainError } from "../domain/domain-error.ts";
import type { Database } from "../store/database.ts";
import { findLog, type StoredLog } from "../store/logs.ts";
import type { CheckpointMemory, RememberedCheckpoint } from "./checkpoint-memory.ts";
import { sha256 } from "./sha256.ts";
import { frontierAt, ledgerDamaged } from "./tiles.ts";

export interface CheckLogDeps {
  readonly db: Database;
  readonly memory: CheckpointMemory;
}

/**
 * How a log in the database stands to the checkpoint remembered outside it.
 *
 * - `extends`: it has what was signed, and perhaps more
 * - `missing`: nothing is remembered, so nobody here would notice a database that was set back
 * - `behind`: it is shorter than what was signed: the database was set back in time
 * - `forked`: it is as long, but holds other entries than those that were signed
 */
export type LogStanding =
  | { readonly state: "extends" | "behind" | "forked"; readonly remembered: RememberedCheckpoint }
  | { readonly state: "missing" };

/** Holds a log against the remembered checkpoint. */
export async function standingOf({ db, memory }: CheckLogDeps, id: LogId): Promise<LogStanding> {
  // Recalled before the database is asked: another server may grow the log and remember that meanwhile.
  const remembered = await memory.recall(id);
  if (remembered === undefined) return { state: "missing" };
  const log = await findLog(db, id);
  const { origin, size, root } = remembered.checkpoint;
  if (log === undefined || log.nextIndex < size) return { state: "behind", remembered };
  const present = frontierRoot(await frontierAt(db, log, size), sha256);
  const same = origin === log.origin && sameBytes(present, root);
  return { state: same ? "extends" : "forked", remembered };
}

/**
 * Lets the sequencer go on only if the database still holds everything that this installation signed. To be called
 * before the first append, and again whenever the database was away: it may have come back as an older self.
 *
 * @throws DomainError `ledger_behind` when it does not; nothing may be issued then until `ledger recover`
 */
export async function checkNotBehind(deps: CheckLogDeps, log: LogId): Promise<void> {
  const { state } = await standingOf(deps, log);
  if (state === "behind" || state === "forked") throw behind(log, state);
}

/** The refusal of everything that would be signed on top of a tree which is not the one signed before. */
export function behind(log: LogId, state: "behind" | "forked"): DomainError {
  const what = state === "behind" ? "lacks entries that were signed" : "holds other entries than were signed";
  return new DomainError(
    "ledger_behind",
    "the ledger is not the one that was signed; see `countersign ledger recover`",
    new Error(`log ${log} ${what}`),
  );
}

/** What the log's published checkpoint says, or undefined before the first. @throws DomainError `internal` */
export function publishedCheckpoint(log: StoredLog): Checkpoint | undefined {
  if (log.checkpoint === undefined) return undefined;
  const note = parseNote(log.checkpoint);
  const checkpoint = note && parseCheckpoint(note.text);
  if (checkpoint === undefined || checkpoint.size !== log.publishedSize || checkpoint.origin !== log.origin) {
    throw ledgerDamaged(log.id, "its published checkpoint is not one of this log at its published size");
  }
  return checkpoint;
}
