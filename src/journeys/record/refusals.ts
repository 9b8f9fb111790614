import type { LedgerEntryBody } from "@countersign/sdk/contract/ledger-entry";
import type { LogId } from "@countersign/sdk/model/ids";
import { type Counted, createRefusalTally } from "../../domain/refusal-tally.ts";
import type { AppendEntry } from "../../ledger/append.ts";
import type { Write } from "../../store/write.ts";

/** A refusal with its entry. Refusals of one key repeat each other. */
export interface RecordedRefusal {
  readonly key: string;
  readonly log: LogId;
  readonly entry: LedgerEntryBody;
  /** Rows only; nothing that depends on a condition. */
  readonly writes: readonly Write[];
}

/** Resolves when the refusal is committed, or counted as a repeat of one that is. */
export type RecordRefusal = (refusal: RecordedRefusal) => Promise<void>;

/** Only counts a refusal: it is committed with its like when their interval is over. Its kinds must be few. */
export type CountRefusal = (refusal: RecordedRefusal) => void;

export interface Refusals {
  readonly record: RecordRefusal;
  readonly count: CountRefusal;
  /** Records the repeats whose interval is over; all of them when the server stops. To be called every few seconds. */
  readonly flush: (which: "due" | "all") => Promise<void>;
}

export interface RefusalsDeps {
  readonly append: AppendEntry;
  readonly now: () => number;
}

const limits = {
  intervalMs: 60_000,
  keysMax: 10_000,
  keysOfPartyMax: 100,
  partyOf: ({ entry: { actor } }: RecordedRefusal) => `${actor.kind} ${actor.id}`,
} as const;

/** Makes the recorder of refusals: the first of a kind has its own entry, its repeats one counted entry a minute. */
export function createRefusals(deps: RefusalsDeps): Refusals {
  const tally = createRefusalTally(limits);

  async function commit({ key, refusal, count }: Counted<RecordedRefusal>): Promise<void> {
    const { log, entry, writes } = refusal;
    try {
      await deps.append(log, { entry: count === 1 ? entry : { ...entry, count }, writes });
    } catch (error) {
      tally.add({ key, refusal, count }, deps.now());
      throw error;
    }
  }

  async function record(refusal: RecordedRefusal): Promise<void> {
    const count = tally.note(refusal.key, refusal, deps.now());
    if (count > 0) await commit({ key: refusal.key, refusal, count });
  }

  function count(refusal: RecordedRefusal): void {
    tally.add({ key: refusal.key, refusal, count: 1 }, deps.now());
  }

  async function flush(which: "due" | "all"): Promise<void> {
    const due = tally.takeDue(which === "all" ? Number.POSITIVE_INFINITY : deps.now());
    await Promise.allSettled(due.map(commit));
  }

  return { record, count, flush };
}
