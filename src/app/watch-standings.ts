import type { LogId } from "@countersign/sdk/model/ids";
import { type CheckLogDeps, type LogStanding, standingOf } from "../ledger/check-log.ts";
import { listLogs } from "../store/logs.ts";

/** How each log stands to the checkpoint that is remembered outside the database. */
export type Standings = ReadonlyMap<LogId, LogStanding["state"]>;

export interface WatchStandingsDeps extends CheckLogDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const keptMs = 5_000;
const keptMissingMs = 200;

/**
 * Tells how the logs stand, as of at most 5 s ago, or 200 ms where nothing is remembered of a log: what a first start
 * publishes is soon there. However often somebody asks, it looks no oftener than that, except where it failed to look.
 */
export function watchStandings(deps: WatchStandingsDeps): () => Promise<Standings> {
  let last: { readonly atMs: number; keptMs: number; readonly found: Promise<Standings> } | undefined;
  return () => {
    if (last !== undefined && deps.now() - last.atMs <= last.keptMs) return last.found;
    const looked = { atMs: deps.now(), keptMs, found: lookAtLogs(deps) };
    last = looked;
    looked.found.then(
      (found) => {
        if ([...found.values()].includes("missing")) looked.keptMs = keptMissingMs;
      },
      () => {
        if (last === looked) last = undefined;
      },
    );
    return looked.found;
  };
}

async function lookAtLogs({ db, memory }: CheckLogDeps): Promise<Standings> {
  const standings = new Map<LogId, LogStanding["state"]>();
  for (const { id, checkpoint } of await listLogs(db)) {
    // What was published last is what is remembered: then no tile has to be read.
    const isSame = checkpoint !== undefined && (await memory.recall(id))?.note === checkpoint;
    standings.set(id, isSame ? "extends" : (await standingOf({ db, memory }, id)).state);
  }
  return standings;
}
