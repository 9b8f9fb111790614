import type { LogId } from "@countersign/sdk/model/ids";
import { DomainError, ValueTaken } from "../domain/domain-error.ts";
import { type Batch, type BatchOutcome, commitBatch } from "../store/commit-batch.ts";
import type { Database } from "../store/database.ts";
import { isUnfitForStorage, uniqueViolationOf } from "../store/database-error.ts";
import type { AppendEntry, Appended, AppendRequest } from "./append.ts";
import {
  distinctConditions,
  failuresOf,
  impliedCondition,
  isSpend,
  type Pending,
  spendsFrom,
  takeBatch,
  takesAuthority,
} from "./pending.ts";
import { type SealedEntry, sealEntry } from "./seal-entry.ts";

export interface SequencerDeps {
  readonly db: Database;
  readonly now: () => number;
  readonly randomBytes: (size: number) => Uint8Array;
  /** The origin of a log, or undefined when there is no such log. */
  readonly originOf: (log: LogId) => Promise<string | undefined>;
  /** @throws DomainError `ledger_behind` when the database is older than the last checkpoint seen. */
  readonly checkNotBehind: (log: LogId) => Promise<void>;
  /** Told after each commit. `urgent`: authority was taken away, so a checkpoint is due at once. */
  readonly onCommitted: (log: LogId, size: number, urgent: boolean) => void;
}

export interface Sequencer {
  readonly append: AppendEntry;
  /**
   * Resolves when what the database says of this log may be believed: it is not older than the last checkpoint seen.
   * Asks only when the database may have been another one since the last time.
   *
   * @throws DomainError `ledger_behind`, `ledger_unavailable`
   */
  readonly confirm: (log: LogId) => Promise<void>;
  /** Lets every log be held against its memory again: the database was away, and may have come back as an older self. */
  readonly doubt: () => void;
  /** Entries that wait for their commit, over all logs. */
  readonly waiting: () => number;
  /** Waits until everything that was handed in is decided; appends that come later are refused. */
  readonly close: () => Promise<void>;
}

const waitingMax = 8192;

/** The one place from which this process writes to a log. */
interface Lane {
  readonly log: LogId;
  readonly origin: string;
  readonly queue: Pending[];
  running: Promise<void> | undefined;
  /** Index that the next entry takes as far as we know; undefined when it must be asked for. */
  head: bigint | undefined;
  /** The highest head ever seen. */
  headMax: bigint;
  /** Whether the log was held against the remembered checkpoint since the last time the database was lost. */
  checked: boolean;
}

/**
 * Makes the sequencer of this process: per log, appends that arrive while a batch is being committed form the next
 * batch. Several processes may sequence one log; the database keeps them from forking or gapping it.
 */
export function createSequencer(deps: SequencerDeps): Sequencer {
  const lanes = new Map<LogId, Promise<Lane>>();
  let waiting = 0;
  let closed = false;

  const append: AppendEntry = async (log, request) => {
    if (closed) throw new DomainError("ledger_unavailable", "the server is stopping");
    if (waiting >= waitingMax)
      throw new DomainError("ledger_unavailable", "too many entries wait for their commit");
    waiting++;
    try {
      const lane = await laneOf(log);
      return await new Promise<Appended>((resolve, reject) => {
        lane.queue.push({ ...pendingOf(deps, lane, request), resolve, reject });
        lane.running ??= drain(deps, lane);
      });
    } finally {
      waiting--;
    }
  };

  function laneOf(log: LogId): Promise<Lane> {
    let lane = lanes.get(log);
    if (lane === undefined) {
      lane = openLane(deps, log);
      lanes.set(log, lane);
      // A log that could not be opened is asked for again by the next append.
      lane.catch(() => lanes.delete(log));
    }
    return lane;
  }

  async function confirm(log: LogId): Promise<void> {
    const lane = await laneOf(log);
    if (lane.checked) return;
    await deps.checkNotBehind(log).catch((error: unknown) => {
      throw unavailable(error);
    });
    lane.checked = true;
  }

  function doubt(): void {
    for (const lane of lanes.values()) {
      // A log that could not be opened is opened, and held against its memory, by whoever needs it next.
      lane.then(
        (open) => {
          open.checked = false;
        },
        () => undefined,
      );
    }
  }

  async function close(): Promise<void> {
    closed = true;
    const open = await Promise.allSettled(lanes.values());
    await Promise.all(open.map((lane) => (lane.status === "fulfilled" ? lane.value.running : undefined)));
  }

  return { append, confirm, doubt, waiting: () => waiting, close };
}

async function openLane(deps: SequencerDeps, log: LogId): Promise<Lane> {
  const origin = await deps.originOf(log).catch((error: unknown) => {
    throw unavailable(error);
  });
  if (origin === undefined) throw new DomainError("not_found", "there is no such log");
  return { log, origin, queue: [], running: undefined, head: undefined, headMax: 0n, checked: false };
}

function pendingOf(deps: SequencerDeps, lane: Lane, request: AppendRequest) {
  const { entry, writes = [], conditions = [], otherwise } = request;
  const all = [...conditions, ...writes.flatMap((write) => impliedCondition(write) ?? [])];
  if ((all.length > 0 || writes.some(isSpend)) && otherwise === undefined) {
    throw new TypeError("an append that may fail says what to record when it does");
  }
  return { sealed: seal(deps, lane, entry), writes, conditions: all, otherwise, failed: undefined };
}

function seal(deps: SequencerDeps, lane: Lane, entry: AppendRequest["entry"]): SealedEntry {
  return sealEntry(entry, lane.origin, deps.randomBytes(16), deps.now());
}

/** Commits batch after batch until nothing waits. Never rejects: each caller is told its own outcome. */
async function drain(deps: SequencerDeps, lane: Lane): Promise<void> {
  while (lane.queue.length > 0) {
    const batch = takeBatch(lane.queue);
    try {
      if (!lane.checked) await deps.checkNotBehind(lane.log);
      lane.checked = true;
      await commit(deps, lane, batch);
    } catch (error) {
      lane.head = undefined;
      lane.checked = false;
      for (const pending of batch) pending.reject(unavailable(error));
    }
  }
  // In the same turn in which the queue was seen empty: whoever comes next starts a new drain.
  lane.running = undefined;
}

/**
 * Commits a batch and tells each caller. An append whose condition fails is committed as its other entry; one that
 * the database can't store is found by halving the batch and refused alone.
 *
 * @throws what the database throws when it is not there: then nobody knows what was committed
 */
async function commit(deps: SequencerDeps, lane: Lane, all: readonly Pending[]): Promise<void> {
  for (let batch = all; batch.length > 0; ) {
    let outcome: BatchOutcome;
    try {
      outcome = await commitBatch(deps.db, batchOf(deps, lane, batch), {
        expected: lane.head,
        atLeast: lane.headMax,
      });
    } catch (error) {
      if (!isUnfitForStorage(error)) throw error;
      const [alone, ...others] = batch;
      if (alone !== undefined && others.length === 0) return alone.reject(refusalOf(error));
      const half = Math.ceil(batch.length / 2);
      await commit(deps, lane, batch.slice(0, half));
      return await commit(deps, lane, batch.slice(half));
    }
    switch (outcome.kind) {
      case "committed":
        return settle(deps, lane, batch, outcome);
      case "failed":
        batch = replaceFailed(deps, lane, batch, outcome);
        break;
      case "moved":
        lane.head = undefined;
        break;
      case "behind":
        throw new DomainError(
          "ledger_behind",
          "the log is shorter than it was; run `countersign ledger recover`",
        );
      case "unknown-log":
        throw new DomainError("ledger_behind", "the log is gone from the database");
    }
  }
}

function batchOf(deps: SequencerDeps, lane: Lane, batch: readonly Pending[]): Batch {
  return {
    log: lane.log,
    entries: batch.map(({ sealed, writes }) => ({ ...sealed, writes })),
    conditions: distinctConditions(batch),
    at: () => new Date(deps.now()),
  };
}

/** Puts the other entry in the place of each append that fails a condition; its rows are dropped. */
function replaceFailed(
  deps: SequencerDeps,
  lane: Lane,
  batch: readonly Pending[],
  outcome: Extract<BatchOutcome, { kind: "failed" }>,
): readonly Pending[] {
  const failures = failuresOf(batch, outcome);
  return batch.filter((pending, place) => {
    const failed = failures[place] ?? [];
    if (failed.length === 0 || pending.otherwise === undefined) return true;
    try {
      pending.sealed = seal(deps, lane, pending.otherwise(failed));
    } catch (error) {
      pending.reject(error);
      return false;
    }
    pending.failed = failed;
    pending.writes = [];
    pending.conditions = [];
    return true;
  });
}

function settle(
  deps: SequencerDeps,
  lane: Lane,
  batch: readonly Pending[],
  { firstIndex, left }: Extract<BatchOutcome, { kind: "committed" }>,
): void {
  lane.head = firstIndex + BigInt(batch.length);
  lane.headMax = lane.head;
  deps.onCommitted(lane.log, Number(lane.head), batch.some(takesAuthority));
  batch.forEach((pending, place) => {
    const at = { log: lane.log, index: Number(firstIndex) + place };
    pending.resolve(
      pending.failed === undefined
        ? { committed: true, ...at, left: left.filter((budget) => spendsFrom(pending, budget)) }
        : { committed: false, ...at, failed: pending.failed },
    );
  });
}

function refusalOf(error: unknown): DomainError {
  const takenIn = uniqueViolationOf(error);
  return takenIn === undefined
    ? new DomainError("entry_refused", "the database can't store it", error)
    : new ValueTaken(takenIn, error);
}

function unavailable(error: unknown): DomainError {
  return error instanceof DomainError
    ? error
    : new DomainError("ledger_unavailable", "the ledger can't record now; try again", error);
}
