import { createKeysById } from "./keys-by-id.ts";

/** What was issued for an entry; undefined where it was refused. */
export interface Issued<Svid> {
  readonly svid: Svid | undefined;
  /** Ids of what it rests on: when one of these changes, it is to be issued anew. */
  readonly restsOn: readonly string[];
}

export interface HeldSvidsDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Told when the first of what was kept just now is due. For what was old when it came, that is at once. */
  readonly onKept: (firstDueMs: number) => void;
}

/** SVIDs of one kind, by who may be given them. */
export interface HeldSvids<Asked, Svid> {
  readonly find: (key: string) => Svid | undefined;
  /**
   * Has those issued that are due, each once however many ask for it at a time. What was issued on something that was
   * dropped meanwhile is kept, and due at once.
   *
   * @param issue one answer for each, in order; none for one that can't be issued now
   * @throws what `issue` throws, unless each of them is held and has not ended
   */
  readonly refresh: (
    asked: ReadonlyMap<string, Asked>,
    issue: (due: readonly Asked[]) => Promise<readonly (Issued<Svid> | undefined)[]>,
  ) => Promise<void>;
  /** Drops what rests on one of these. @returns whether anything did */
  readonly drop: (ids: ReadonlySet<string>) => boolean;
  /** Anything may have changed: each is due at once, and given out until another is issued for it, or refused. */
  readonly doubt: () => void;
  /** Drops what has ended. @returns when the first of the rest falls due that is not yet */
  readonly sweep: () => number;
  /** How many have not ended. */
  readonly count: () => number;
}

interface Held<Svid> extends Issued<Svid> {
  /** Not asked for again before. */
  renewAtMs: number;
}

/** What became known while something was issued. */
interface UnderWay {
  /** Ids that were dropped since it began. */
  readonly dropped: Set<string>;
  isDoubted: boolean;
}

/** How long a refusal, or a failure to renew, stands before it is tried again. */
const retryMs = 5_000;
/** What was last given out stays: as many as this. */
const heldMax = 20_000;

/** None are held yet. */
export function createHeldSvids<Asked, Svid extends { readonly expiresAtMs: number }>({
  now,
  onKept,
}: HeldSvidsDeps): HeldSvids<Asked, Svid> {
  const held = new Map<string, Held<Svid>>();
  const resting = createKeysById();
  const underWay = new Map<string, Promise<void>>();
  const issues = new Set<UnderWay>();

  function keep(key: string, kept: Held<Svid>): void {
    // Those that were kept longest ago stand first.
    forget(key);
    held.set(key, kept);
    resting.add(key, kept.restsOn);
    const [oldest] = held.keys();
    if (held.size > heldMax && oldest !== undefined) forget(oldest);
  }

  function forget(key: string): void {
    resting.remove(key, held.get(key)?.restsOn ?? []);
    held.delete(key);
  }

  /** @returns when the first of them is due */
  async function renew(
    keys: readonly string[],
    issue: () => Promise<readonly (Issued<Svid> | undefined)[]>,
  ): Promise<number> {
    const mine: UnderWay = { dropped: new Set(), isDoubted: false };
    issues.add(mine);
    try {
      const issued = await issue();
      const due = keys.map((key, place) => {
        const { svid, restsOn } = issued[place] ?? stillGood(held.get(key), now());
        const isOld = mine.isDoubted || restsOn.some((id) => mine.dropped.has(id));
        const renewAtMs = isOld ? now() : renewalOf(svid, now());
        keep(key, { svid, restsOn, renewAtMs });
        return renewAtMs;
      });
      return Math.min(...due);
    } catch (error) {
      return Math.min(...retriesOf(keys, error));
    } finally {
      issues.delete(mine);
    }
  }

  /** A renewal that fails is no failure for those who still have something to give out. */
  function retriesOf(keys: readonly string[], error: unknown): readonly number[] {
    let isCovered = true;
    const retries = keys.map((key) => {
      const kept = held.get(key);
      if (kept?.svid === undefined || kept.svid.expiresAtMs <= now()) {
        isCovered = false;
        return Number.POSITIVE_INFINITY;
      }
      kept.renewAtMs = Math.min(now() + retryMs, kept.svid.expiresAtMs);
      return kept.renewAtMs;
    });
    if (!isCovered) throw error;
    return retries;
  }

  function drop(ids: ReadonlySet<string>): boolean {
    const sizeBefore = held.size;
    for (const id of ids) {
      for (const { dropped } of issues) dropped.add(id);
      for (const key of resting.keysOf(id)) forget(key);
    }
    return held.size < sizeBefore;
  }

  function doubt(): void {
    for (const issue of issues) issue.isDoubted = true;
    for (const kept of held.values()) kept.renewAtMs = Math.min(kept.renewAtMs, now());
  }

  return {
    find: (key) => held.get(key)?.svid,
    async refresh(asked, issue) {
      const due = [...asked].filter(([key]) => (held.get(key)?.renewAtMs ?? 0) <= now());
      const mine = due.filter(([key]) => !underWay.has(key));
      if (mine.length > 0) {
        const keys = mine.map(([key]) => key);
        const renewal = renew(keys, () => issue(mine.map(([, one]) => one)))
          .finally(() => {
            for (const key of keys) underWay.delete(key);
          })
          // Not before: who is told asks at once, and shall not be given this one again.
          .then(onKept);
        for (const key of keys) underWay.set(key, renewal);
      }
      await Promise.all(new Set(due.map(([key]) => underWay.get(key))));
    },
    drop,
    doubt,
    sweep() {
      let nextMs = Number.POSITIVE_INFINITY;
      for (const [key, { svid, renewAtMs }] of held) {
        if ((svid?.expiresAtMs ?? renewAtMs) <= now()) forget(key);
        else if (renewAtMs > now()) nextMs = Math.min(nextMs, renewAtMs);
      }
      return nextMs;
    },
    count: () =>
      [...held.values()].filter(({ svid }) => svid !== undefined && now() < svid.expiresAtMs).length,
  };
}

/** What is given out while the next one can't be issued: none where nothing is held, or that has ended. */
function stillGood<Svid extends { readonly expiresAtMs: number }>(
  held: Issued<Svid> | undefined,
  nowMs: number,
): Issued<Svid> {
  const isGood = held?.svid !== undefined && nowMs < held.svid.expiresAtMs;
  return isGood ? held : { svid: undefined, restsOn: [] };
}

/** When half of its life is over. */
function renewalOf(svid: { readonly expiresAtMs: number } | undefined, nowMs: number): number {
  return svid === undefined ? nowMs + retryMs : nowMs + (svid.expiresAtMs - nowMs) / 2;
}
