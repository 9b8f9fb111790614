/** A refusal that was not recorded by itself, with how many like it there were. */
export interface Counted<Refusal> {
  readonly key: string;
  /** The latest of them. */
  readonly refusal: Refusal;
  readonly count: number;
}

/**
 * Turns repeats of one refusal into one counted entry per interval: the first is recorded at once, what repeats it
 * within the interval is counted, and the count is recorded when the interval is over.
 */
export interface RefusalTally<Refusal> {
  /** How many refusals the entry to record now stands for; 0: none is due, it was counted. */
  readonly note: (key: string, refusal: Refusal, nowMs: number) => number;
  /** Takes out the counts whose interval is over; with an infinite time, all. */
  readonly takeDue: (nowMs: number) => readonly Counted<Refusal>[];
  /** Counts what is not to be recorded, or could not be, before its interval is over. */
  readonly add: (counted: Counted<Refusal>, nowMs: number) => void;
}

interface Window<Refusal> {
  readonly startedAtMs: number;
  refusal: Refusal;
  repeats: number;
}

/** @param keysMax kinds of refusal that are counted at one time; what comes beyond is recorded one by one */
export function createRefusalTally<Refusal>(intervalMs: number, keysMax: number): RefusalTally<Refusal> {
  const windows = new Map<string, Window<Refusal>>();

  function note(key: string, refusal: Refusal, nowMs: number): number {
    const window = windows.get(key);
    if (window !== undefined && nowMs - window.startedAtMs < intervalMs) {
      window.refusal = refusal;
      window.repeats++;
      return 0;
    }
    if (window !== undefined || windows.size < keysMax) {
      windows.set(key, { startedAtMs: nowMs, refusal, repeats: 0 });
    }
    return 1 + (window?.repeats ?? 0);
  }

  function takeDue(nowMs: number): readonly Counted<Refusal>[] {
    const due: Counted<Refusal>[] = [];
    for (const [key, { startedAtMs, refusal, repeats }] of windows) {
      if (nowMs - startedAtMs < intervalMs) continue;
      windows.delete(key);
      if (repeats > 0) due.push({ key, refusal, count: repeats });
    }
    return due;
  }

  function add({ key, refusal, count }: Counted<Refusal>, nowMs: number): void {
    const window = windows.get(key);
    if (window !== undefined) window.repeats += count;
    else windows.set(key, { startedAtMs: nowMs, refusal, repeats: count });
  }

  return { note, takeDue, add };
}
