/** How much of something each may have: so many at once, and so many a second after that. */
export interface TokenBuckets {
  /** Takes so many of a key's, or none where there are not as many. */
  readonly take: (key: string, amount?: number) => boolean;
}

export interface TokenBucketsOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly burst: number;
  readonly perSecond: number;
}

interface Bucket {
  readonly left: number;
  readonly atMs: number;
}

/** A bucket that nobody has asked for is full; once more are known than this, those that are full again are forgotten. */
const knownMax = 1_000;

/** All are full. */
export function createTokenBuckets({ now, burst, perSecond }: TokenBucketsOptions): TokenBuckets {
  const buckets = new Map<string, Bucket>();
  let forgetAt = knownMax;

  function leftOf({ left, atMs }: Bucket, nowMs: number): number {
    return Math.min(burst, left + (Math.max(nowMs - atMs, 0) / 1000) * perSecond);
  }

  function forgetFull(nowMs: number): void {
    for (const [key, bucket] of buckets) if (leftOf(bucket, nowMs) === burst) buckets.delete(key);
    forgetAt = Math.max(knownMax, 2 * buckets.size);
  }

  return {
    take(key, amount = 1) {
      const nowMs = now();
      const bucket = buckets.get(key);
      const left = bucket === undefined ? burst : leftOf(bucket, nowMs);
      if (left < amount) return false;
      buckets.set(key, { left: left - amount, atMs: nowMs });
      if (buckets.size > forgetAt) forgetFull(nowMs);
      return true;
    },
  };
}
