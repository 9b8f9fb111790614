import type { Database } from "./database.ts";
import { type Changed, followChanges } from "./follow-changes.ts";

export interface KeepUpDeps {
  readonly db: Pick<Database, "listen">;
  /** Reads what is kept again, and replaces it; of several readings one begins when the one before it is done. */
  readonly read: () => Promise<void>;
  /** Told when it could not be read again, and nobody waited for it; what is known stays. */
  readonly onReloadFailed: (error: unknown) => void;
}

/** What is kept in memory of some tables. */
export interface KeptUp {
  /**
   * Reads it again: when it resolves, everything committed before the call is known. Of several calls at a time, one reading
   * comes after all of them.
   *
   * @throws what `read` throws
   */
  readonly reload: () => Promise<void>;
  /** Waits for a reading under way; none begins by itself after that. */
  readonly close: () => Promise<void>;
}

const reloadEveryMs = 5_000;

/** Keeps up with these tables: reads at once when any process changes one, and every 5 s in any case. */
export async function keepUp(
  { db, read, onReloadFailed }: KeepUpDeps,
  tables: readonly Changed["on"][],
): Promise<KeptUp> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  async function run(): Promise<void> {
    try {
      await read();
    } finally {
      running = next;
      next = undefined;
    }
  }

  function reload(): Promise<void> {
    if (running === undefined) {
      running = run();
      return running;
    }
    // One that is under way may have read before the change; two at a time might undo what the later one found.
    next ??= running.then(run, run);
    return next;
  }

  function reloadInBackground(): void {
    reload().catch(onReloadFailed);
  }

  const unlisten = await followChanges(db, {
    changed: (changes) => {
      if (changes.some(({ on }) => tables.includes(on))) reloadInBackground();
    },
    lost: reloadInBackground,
  });
  const timer = setInterval(reloadInBackground, reloadEveryMs).unref();
  return {
    reload,
    async close() {
      clearInterval(timer);
      await unlisten();
      // Whoever asked for it was told how it went.
      await Promise.allSettled([running, next]);
    },
  };
}
