export interface RateLimitOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** What a party may take at once, when it has taken nothing for long. */
  readonly burst: number;
  readonly perSecond: number;
  /** Parties that are told apart; who was not heard of for the longest time is forgotten first. */
  readonly partiesMax: number;
}

/** How much of something each party may have: so many at once, and then at an even pace. */
export interface RateLimit {
  /** Takes so many of a party's, or none where there are not as many. @returns whether they were there */
  readonly take: (party: string, amount?: number) => boolean;
}

interface Share {
  readonly left: number;
  readonly atMs: number;
}

/** A token bucket for each party; all are full. */
export function createRateLimit({ now, burst, perSecond, partiesMax }: RateLimitOptions): RateLimit {
  const shares = new Map<string, Share>();

  function leftOf(party: string, nowMs: number): number {
    const share = shares.get(party);
    if (share === undefined) return burst;
    return Math.min(burst, share.left + (Math.max(0, nowMs - share.atMs) * perSecond) / 1000);
  }

  return {
    take(party, amount = 1) {
      const nowMs = now();
      const left = leftOf(party, nowMs);
      const isThere = left >= amount;
      // Those that were heard of longest ago stand first.
      shares.delete(party);
      shares.set(party, { left: isThere ? left - amount : left, atMs: nowMs });
      const [oldest] = shares.keys();
      if (shares.size > partiesMax && oldest !== undefined) shares.delete(oldest);
      return isThere;
    },
  };
}
