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

export interface TallyLimits<Refusal> {
  readonly intervalMs: number;
  /** Kinds of refusal that are counted at one time; what comes beyond is recorded one by one. */
  readonly keysMax: number;
  /** The same for one party, so that nobody uses up the room of all others. */
  readonly keysOfPartyMax: number;
  readonly partyOf: (refusal: Refusal) => string;
}

interface Window<Refusal> {
  readonly startedAtMs: number;
  readonly party: string;
  /** The latest repeat: what is not repeated is not kept. */
  latest?: Refusal;
  repeats: number;
}

/** Nothing is counted yet. */
export function createRefusalTally<Refusal>(limits: TallyLimits<Refusal>): RefusalTally<Refusal> {
  const { intervalMs, keysMax, keysOfPartyMax, partyOf } = limits;
  const windows = new Map<string, Window<Refusal>>();
  const keysOf = new Map<string, number>();

  function open(key: string, window: Window<Refusal>): void {
    if (!windows.has(key)) keysOf.set(window.party, (keysOf.get(window.party) ?? 0) + 1);
    windows.set(key, window);
  }

  function close(key: string, { party }: Window<Refusal>): void {
    windows.delete(key);
    const left = (keysOf.get(party) ?? 0) - 1;
    if (left > 0) keysOf.set(party, left);
    else keysOf.delete(party);
  }

  function note(key: string, refusal: Refusal, nowMs: number): number {
    const window = windows.get(key);
    if (window !== undefined && nowMs - window.startedAtMs < intervalMs) {
      window.latest = refusal;
      window.repeats++;
      return 0;
    }
    const party = partyOf(refusal);
    const hasRoom = windows.size < keysMax && (keysOf.get(party) ?? 0) < keysOfPartyMax;
    if (window !== undefined || hasRoom) open(key, { startedAtMs: nowMs, party, repeats: 0 });
    return 1 + (window?.repeats ?? 0);
  }

  function takeDue(nowMs: number): readonly Counted<Refusal>[] {
    const due: Counted<Refusal>[] = [];
    for (const [key, window] of windows) {
      if (nowMs - window.startedAtMs < intervalMs) continue;
      close(key, window);
      if (window.latest !== undefined) due.push({ key, refusal: window.latest, count: window.repeats });
    }
    return due;
  }

  function add({ key, refusal, count }: Counted<Refusal>, nowMs: number): void {
    const window = windows.get(key);
    if (window === undefined)
      open(key, { startedAtMs: nowMs, party: partyOf(refusal), latest: refusal, repeats: count });
    else {
      window.latest ??= refusal;
      window.repeats += count;
    }
  }

  return { note, takeDue, add };
}
