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

/**
 * Tells how the logs stand, as of at most 5 s ago: however often somebody asks, it looks no oftener than that. Where it
 * failed to look, or found nothing remembered of a log, it looks again at once: what a first start publishes is soon there.
 */
export function watchStandings(deps: WatchStandingsDeps): () => Promise<Standings> {
  let last: { readonly atMs: number; readonly found: Promise<Standings> } | undefined;
  return () => {
    if (last !== undefined && deps.now() - last.atMs <= keptMs) return last.found;
    const looked = { atMs: deps.now(), found: lookAtLogs(deps) };
    last = looked;
    const forget = () => {
      if (last === looked) last = undefined;
    };
    looked.found.then((found) => {
      if ([...found.values()].includes("missing")) forget();
    }, forget);
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
