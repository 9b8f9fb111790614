/** What may be done side by side, and what only while nothing else is. */
export interface Turns {
  readonly together: <Result>(work: () => Promise<Result>) => Promise<Result>;
  /** Waits for what is under way; what comes meanwhile waits for this. */
  readonly alone: <Result>(work: () => Promise<Result>) => Promise<Result>;
}

/** Nothing is under way yet. */
export function createTurns(): Turns {
  const running = new Set<Promise<unknown>>();
  let last: Promise<unknown> | undefined;

  function noted<Result>(begun: Promise<Result>): Promise<Result> {
    running.add(begun);
    const done = () => void running.delete(begun);
    begun.then(done, done);
    return begun;
  }

  async function together<Result>(work: () => Promise<Result>): Promise<Result> {
    while (last !== undefined) await last;
    return noted(work());
  }

  async function alone<Result>(work: () => Promise<Result>): Promise<Result> {
    while (last !== undefined) await last;
    const mine = Promise.allSettled([...running]).then(work);
    const over: Promise<void> = mine.then(
      () => undefined,
      () => undefined,
    );
    last = over;
    try {
      return await mine;
    } finally {
      if (last === over) last = undefined;
    }
  }

  return { together, alone };
}
