import type { LogId } from "@countersign/sdk/model/ids";
import type { FollowerBatch, FollowerName } from "../domain/follower.ts";

/** Something that happens after the ledger, entry by entry, in every log. */
export interface Follower {
  readonly name: FollowerName;
  readonly entriesAtOnce: number;
  /**
   * Handles a batch, then moves the cursor from its `from` to its `to` by compare-and-set: in the transaction that holds
   * what it writes, or once everything is delivered. Where it fails before the cursor moved, the batch comes again.
   */
  readonly handle: (batch: FollowerBatch) => Promise<void>;
}

export interface FollowLedgerDeps {
  /** The next batch of each log whose checkpoint covers more than the follower has handled; none goes beyond it. */
  readonly listBatches: (follower: FollowerName, entriesMax: number) => Promise<readonly FollowerBatch[]>;
  /** Told of what went wrong; it is tried again when next woken. No log: the database was not there. */
  readonly onFailed: (error: unknown, follower: FollowerName, log?: LogId) => void;
}

/** A follower at work. */
export interface Following {
  /** There may be more under a checkpoint than the follower has handled. */
  readonly wake: () => void;
  /** Waits for the batch under way; none begins after that. */
  readonly close: () => Promise<void>;
}

/**
 * Lets a follower handle every entry of every log at least once and in order, as far as the checkpoints cover them. Of
 * several processes that are given the same batch, one moves the cursor and the others go on from where it stands then.
 * A log where it fails holds up no other.
 */
export function followLedger(deps: FollowLedgerDeps, follower: Follower): Following {
  let woken = false;
  let closed = false;
  let running: Promise<void> | undefined;

  async function catchUp(): Promise<void> {
    const failed = new Set<LogId>();
    for (;;) {
      const batches = await deps.listBatches(follower.name, follower.entriesAtOnce);
      const due = batches.filter(({ log }) => !failed.has(log));
      if (due.length === 0) return;
      for (const batch of due) {
        if (closed) return;
        await follower.handle(batch).catch((error: unknown) => {
          failed.add(batch.log);
          deps.onFailed(error, follower.name, batch.log);
        });
      }
    }
  }

  async function run(): Promise<void> {
    while (woken && !closed) {
      woken = false;
      await catchUp().catch((error: unknown) => deps.onFailed(error, follower.name));
    }
    running = undefined;
  }

  function wake(): void {
    if (closed) return;
    woken = true;
    running ??= run();
  }

  async function close(): Promise<void> {
    closed = true;
    await running;
  }

  return { wake, close };
}
