/** How much work a user may cause at once, and in a second from then on. */
export interface BudgetLimits {
  readonly burst: number;
  readonly perSecond: number;
}

interface Account {
  left: number;
  atMs: number;
}

/** So many users are remembered before those that have everything left are forgotten. */
const accountsMax = 1_024;

/**
 * A budget for each user, which fills up with time.
 *
 * @returns a function that takes one piece of work from it, and tells whether it was there
 */
export function createBudget(
  { burst, perSecond }: BudgetLimits,
  now: () => number,
): (uid: number) => boolean {
  const accounts = new Map<number, Account>();
  const leftOf = ({ left, atMs }: Account, nowMs: number) =>
    Math.min(burst, left + (Math.max(0, nowMs - atMs) * perSecond) / 1000);

  function forgetFull(nowMs: number): void {
    for (const [uid, account] of accounts) if (leftOf(account, nowMs) >= burst) accounts.delete(uid);
  }

  return (uid) => {
    const nowMs = now();
    if (accounts.size >= accountsMax) forgetFull(nowMs);
    const left = leftOf(accounts.get(uid) ?? { left: burst, atMs: nowMs }, nowMs);
    accounts.set(uid, { left: left < 1 ? left : left - 1, atMs: nowMs });
    return left >= 1;
  };
}
