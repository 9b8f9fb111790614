/** Refusals of one key repeat each other. */
interface Keyed {
  readonly key: string;
}

/** A refusal, and how many like it there were that are not recorded yet. */
export interface Counted<Refusal> {
  /** The latest of them. */
  readonly refusal: Refusal;
  readonly count: number;
}

/**
 * Turns repeats of one refusal into one counted entry per interval: the first is recorded at once, what repeats it
 * within the interval is counted, and the count is recorded when the interval is over.
 */
export interface RefusalTally<Refusal> {
  /** What to record now, for how many refusals; a count of 0: nothing, it was counted. */
  readonly note: (refusal: Refusal, nowMs: number) => Counted<Refusal>;
  /** Takes out the counts whose interval is over; with an infinite time, all. */
  readonly takeDue: (nowMs: number) => readonly Counted<Refusal>[];
  /** Counts what is not to be recorded before its interval is over. */
  readonly add: (refusal: Refusal, nowMs: number) => void;
  /** Takes back what could not be recorded: it is due at once, so that nothing is counted as its repeat before it is. */
  readonly putBack: (counted: Counted<Refusal>) => void;
}

export interface TallyLimits<Refusal> {
  readonly intervalMs: number;
  /** Kinds of refusal that are told apart at one time, and as many sums of what comes beyond. */
  readonly keysMax: number;
  /** The same for one party, so that nobody uses up the room of all others. */
  readonly keysOfPartyMax: number;
  readonly partyOf: (refusal: Refusal) => string;
  /** What is counted in place of a refusal that there is no room for: one of few kinds for each party. */
  readonly summed: (refusal: Refusal) => Refusal;
}

interface Window<Refusal> {
  readonly startedAtMs: number;
  readonly party: string;
  /** The latest repeat: what is not repeated is not kept. */
  latest?: Refusal;
  repeats: number;
}

/** Nothing is counted yet. */
export function createRefusalTally<Refusal extends Keyed>(
  limits: TallyLimits<Refusal>,
): RefusalTally<Refusal> {
  const { intervalMs, keysMax, keysOfPartyMax, partyOf, summed } = limits;
  const windows = new Map<string, Window<Refusal>>();
  const keysOf = new Map<string, number>();

  function placed(refusal: Refusal): Refusal {
    const hasRoom = windows.size < keysMax && (keysOf.get(partyOf(refusal)) ?? 0) < keysOfPartyMax;
    return hasRoom || windows.has(refusal.key) ? refusal : summed(refusal);
  }

  function open(refusal: Refusal, counts: Pick<Window<Refusal>, "startedAtMs" | "latest" | "repeats">): void {
    const { key } = refusal;
    const party = partyOf(refusal);
    if (!windows.has(key)) {
      // Only where thousands of parties are refused at once: then each has its entries one by one, and memory its bound.
      if (windows.size >= 2 * keysMax) return;
      keysOf.set(party, (keysOf.get(party) ?? 0) + 1);
    }
    windows.set(key, { ...counts, party });
  }

  function close(key: string, { party }: Window<Refusal>): void {
    windows.delete(key);
    const left = (keysOf.get(party) ?? 0) - 1;
    if (left > 0) keysOf.set(party, left);
    else keysOf.delete(party);
  }

  function note(asked: Refusal, nowMs: number): Counted<Refusal> {
    const refusal = placed(asked);
    const window = windows.get(refusal.key);
    if (window !== undefined && nowMs - window.startedAtMs < intervalMs) {
      window.latest = refusal;
      window.repeats++;
      return { refusal, count: 0 };
    }
    open(refusal, { startedAtMs: nowMs, repeats: 0 });
    return { refusal, count: 1 + (window?.repeats ?? 0) };
  }

  function takeDue(nowMs: number): readonly Counted<Refusal>[] {
    const due: Counted<Refusal>[] = [];
    for (const [key, window] of windows) {
      if (nowMs - window.startedAtMs < intervalMs) continue;
      close(key, window);
      if (window.latest !== undefined) due.push({ refusal: window.latest, count: window.repeats });
    }
    return due;
  }

  function add(asked: Refusal, nowMs: number): void {
    const refusal = placed(asked);
    const { startedAtMs, repeats } = windows.get(refusal.key) ?? { startedAtMs: nowMs, repeats: 0 };
    open(refusal, { startedAtMs, latest: refusal, repeats: repeats + 1 });
  }

  function putBack({ refusal: asked, count }: Counted<Refusal>): void {
    const refusal = placed(asked);
    const { latest = refusal, repeats = 0 } = windows.get(refusal.key) ?? {};
    open(refusal, { startedAtMs: Number.NEGATIVE_INFINITY, latest, repeats: repeats + count });
  }

  return { note, takeDue, add, putBack };
}
