import type { LogId } from "@countersign/sdk/model/ids";
import type { FollowerBatch, FollowerName } from "../domain/follower.ts";

/** What is written to the database after the ledger, entry by entry, in every log. */
export interface Follower {
  readonly name: FollowerName;
  readonly entriesAtOnce: number;
  /**
   * Writes what a batch comes to, and moves the cursor from its `from` to its `to` by compare-and-set, in one transaction.
   * Where it fails, the batch comes again. All servers are given a batch at once: whoever delivers outside the database
   * will first have to bring a claim on the cursor's row.
   *
   * @returns whether the cursor moved; if not, somebody else has handled the batch
   */
  readonly handle: (batch: FollowerBatch) => Promise<boolean>;
}

export interface FollowLedgerDeps {
  /** The next batch of each of these logs (all, where none are named) that is not handled up to its checkpoint. */
  readonly listBatches: (
    follower: Follower,
    logs: readonly LogId[] | undefined,
  ) => Promise<readonly FollowerBatch[]>;
  /** Told of what went wrong; it is tried again when next woken. No log: the database was not there. */
  readonly onFailed: (error: unknown, follower: FollowerName, log?: LogId) => void;
}

/** A follower at work. */
export interface Following {
  /** There may be more under the checkpoint of this log, or of any where none is named, than the follower has handled. */
  readonly wake: (log?: LogId) => void;
  /** Waits for the batch under way; none begins after that. */
  readonly close: () => Promise<void>;
}

/**
 * Lets a follower handle every entry of every log once and in order, as far as the checkpoints cover them. Of several
 * processes that are given the same batch, the one that moves the cursor goes on, and the others leave the log to it.
 * A log where it fails is left until the next wake, and holds up no other.
 */
export function followLedger(deps: FollowLedgerDeps, follower: Follower): Following {
  let woken = new Set<LogId | undefined>();
  let closed = false;
  let running: Promise<void> | undefined;
  // Where the last batch of each log began: none that was handled may come again.
  const handled = new Map<LogId, number>();

  /** @returns whether this process goes on with the log */
  async function handle(batch: FollowerBatch): Promise<boolean> {
    const { log, from } = batch;
    try {
      if (handled.get(log) === from) throw new Error(`the cursor did not move: entry ${from} came again`);
      handled.set(log, from);
      return await follower.handle(batch);
    } catch (error) {
      handled.delete(log);
      deps.onFailed(error, follower.name, log);
      return false;
    }
  }

  async function catchUp(logs: readonly LogId[] | undefined): Promise<void> {
    for (let due = await deps.listBatches(follower, logs); due.length > 0; ) {
      const moved: LogId[] = [];
      for (const batch of due) {
        if (closed) return;
        if (await handle(batch)) moved.push(batch.log);
      }
      due = await deps.listBatches(follower, moved);
    }
  }

  async function run(): Promise<void> {
    while (woken.size > 0 && !closed) {
      const logs = [...woken];
      woken = new Set();
      const named = logs.filter((log) => log !== undefined);
      await catchUp(named.length < logs.length ? undefined : named).catch((error: unknown) =>
        deps.onFailed(error, follower.name),
      );
    }
    running = undefined;
  }

  function wake(log?: LogId): void {
    if (closed) return;
    woken.add(log);
    running ??= run();
  }

  async function close(): Promise<void> {
    closed = true;
    await running;
  }

  return { wake, close };
}
