import type { LedgerEntryBody } from "@countersign/sdk/contract/ledger-entry";
import type { LogId } from "@countersign/sdk/model/ids";
import { DomainError } from "../../domain/domain-error.ts";
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
  /**
   * Records the repeats whose interval is over; all of them when the server stops. To be called every few seconds.
   *
   * @throws Error when some could not be recorded; they are kept for the next time, and hold up no others
   */
  readonly flush: (which: "due" | "all") => Promise<void>;
}

export interface RefusalsDeps {
  readonly append: AppendEntry;
  readonly now: () => number;
}

const limits = { intervalMs: 60_000, keysMax: 10_000, keysOfPartyMax: 100, partyOf, summed } as const;

/**
 * Makes the recorder of refusals: the first of a kind has its own entry, its repeats one counted entry a minute; of a
 * party with more kinds than are told apart, what comes beyond is counted by its code.
 */
export function createRefusals(deps: RefusalsDeps): Refusals {
  const tally = createRefusalTally<RecordedRefusal>(limits);
  /** What is being committed, by its key: nobody is answered with the repeat of a refusal that is not recorded. */
  const underWay = new Map<string, Promise<void>>();

  async function commit(counted: Counted<RecordedRefusal>): Promise<void> {
    try {
      await appendInSomeWords(deps, counted);
    } catch (error) {
      tally.putBack(counted);
      throw error;
    }
  }

  async function record(asked: RecordedRefusal): Promise<void> {
    const counted = tally.note(asked, deps.now());
    const { key } = counted.refusal;
    if (counted.count === 0) return underWay.get(key);
    const done = commit(counted).finally(() => {
      if (underWay.get(key) === done) underWay.delete(key);
    });
    underWay.set(key, done);
    return done;
  }

  async function flush(which: "due" | "all"): Promise<void> {
    const due = tally.takeDue(which === "all" ? Number.POSITIVE_INFINITY : deps.now());
    const settled = await Promise.allSettled(due.map(commit));
    const failures = settled.filter((one) => one.status === "rejected").map(({ reason }) => reason);
    if (failures.length === 0) return;
    throw new Error(`counted refusals that could not be recorded: ${failures.length}`, {
      cause: failures[0],
    });
  }

  return { record, count: (refusal) => tally.add(refusal, deps.now()), flush };
}

/** What a refusal says may be no legal entry; that there was one always is. */
async function appendInSomeWords(
  { append }: Pick<RefusalsDeps, "append">,
  { refusal: { log, entry, writes }, count }: Counted<RecordedRefusal>,
): Promise<void> {
  const counted = count === 1 ? {} : { count };
  try {
    await append(log, { entry: { ...entry, ...counted }, writes });
  } catch (error) {
    if (!(error instanceof DomainError) || error.code !== "entry_refused") throw error;
    await append(log, { entry: { ...withoutWords(entry, "what it was can't be recorded"), ...counted } });
  }
}

function summed(asked: RecordedRefusal): RecordedRefusal {
  const entry = withoutWords(
    asked.entry,
    "beyond the kinds told apart: all of this code, of how many kinds is not known",
  );
  return {
    key: `summed ${partyOf(asked)} ${asked.entry.type} ${entry.refusal.code}`,
    log: asked.log,
    entry,
    writes: [],
  };
}

/** An entry of who was refused, and by which code, and of nothing that anybody sent. */
function withoutWords({ type, organization, actor, agent, refusal }: LedgerEntryBody, reason: string) {
  return {
    type,
    actor,
    ...(organization !== undefined && { organization }),
    ...(agent !== undefined && { agent }),
    // Strangers have no refusal of their own: they could not prove who they are.
    refusal: { code: refusal?.code ?? "unauthenticated", reason },
  };
}

function partyOf({ entry: { actor } }: RecordedRefusal): string {
  return `${actor.kind} ${actor.id}`;
}
