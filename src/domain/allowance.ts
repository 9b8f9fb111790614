export interface AllowanceLimits {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** What a party may do at once, when it has done nothing for long. */
  readonly burst: number;
  readonly perSecond: number;
  /** Parties that are told apart; who was not heard of for the longest time is forgotten first. */
  readonly partiesMax: number;
}

interface Party {
  left: number;
  sinceMs: number;
}

/**
 * Lets each party do something so many times at once, and then at an even pace.
 *
 * @returns whether a party may do it now, which is counted if so
 */
export function createAllowance(limits: AllowanceLimits): (party: string) => boolean {
  const { now, burst, perSecond, partiesMax } = limits;
  const parties = new Map<string, Party>();
  return (name) => {
    const nowMs = now();
    const known = parties.get(name) ?? { left: burst, sinceMs: nowMs };
    const regained = (Math.max(0, nowMs - known.sinceMs) * perSecond) / 1000;
    const left = Math.min(burst, known.left + regained);
    const isAllowed = left >= 1;
    // Those that were heard of longest ago stand first.
    parties.delete(name);
    parties.set(name, { left: isAllowed ? left - 1 : left, sinceMs: nowMs });
    const [oldest] = parties.keys();
    if (parties.size > partiesMax && oldest !== undefined) parties.delete(oldest);
    return isAllowed;
  };
}
