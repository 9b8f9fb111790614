import type { Logger } from "pino";

/** Work that recurs while the server runs. */
export interface Background {
  /** Runs a task again and again, `everyMs` after it was last done; a failure is logged, and it is tried again. */
  readonly every: (everyMs: number, name: string, task: () => Promise<unknown>) => void;
  /** Waits for tasks under way; none begins after that. */
  readonly close: () => Promise<void>;
}

/** Nothing to do yet. */
export function createBackground(logger: Logger): Background {
  const timers = new Set<NodeJS.Timeout>();
  const running = new Set<Promise<void>>();
  let closed = false;

  function schedule(everyMs: number, name: string, task: () => Promise<unknown>): void {
    if (closed) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      const run = task()
        .catch((err: unknown) => logger.error({ err, task: name }, "a background task failed"))
        .then(() => {
          running.delete(run);
          schedule(everyMs, name, task);
        });
      running.add(run);
    }, everyMs);
    timers.add(timer);
  }

  async function close(): Promise<void> {
    closed = true;
    for (const timer of timers) clearTimeout(timer);
    await Promise.all(running);
  }

  return { every: schedule, close };
}
