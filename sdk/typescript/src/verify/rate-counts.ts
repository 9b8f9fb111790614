/** Counts what happens, in windows of time that begin at whole multiples of their length. */
export interface RateCounts {
  /**
   * Counts one more under this key, unless `times` were counted in the window already. Of all calls at one time, by
   * whoever shares the counts, exactly so many are counted.
   */
  count(key: string, times: number, perSeconds: number): Promise<RateCount>;
}

export interface RateCount {
  readonly counted: boolean;
  /** When the window ends. */
  readonly retryAfterSeconds: number;
}

const keysMax = 100_000;

/**
 * Counts in the memory of one process. Several replicas allow as often each: who wants them to count together brings
 * counts that they share. Where more is counted at a time than it has room for, nothing new is.
 */
export function countInMemory({ now }: { now(): number }): RateCounts {
  const windows = new Map<string, { endsAtMs: number; count: number }>();

  function forgetEnded(nowMs: number): void {
    for (const [key, { endsAtMs }] of windows) if (endsAtMs <= nowMs) windows.delete(key);
  }

  return {
    async count(key, times, perSeconds) {
      const nowMs = now();
      const lengthMs = perSeconds * 1000;
      const endsAtMs = Math.floor(nowMs / lengthMs) * lengthMs + lengthMs;
      const retryAfterSeconds = Math.ceil((endsAtMs - nowMs) / 1000);
      const known = windows.get(key);
      const window = known?.endsAtMs === endsAtMs ? known : { endsAtMs, count: 0 };
      if (known === undefined && windows.size >= keysMax) forgetEnded(nowMs);
      const isFull = known === undefined && windows.size >= keysMax;
      if (isFull || window.count >= times) return { counted: false, retryAfterSeconds };
      window.count++;
      windows.set(key, window);
      return { counted: true, retryAfterSeconds };
    },
  };
}
