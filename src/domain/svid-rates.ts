import type { EntryId } from "@countersign/sdk/model/ids";
import type { Selector } from "@countersign/sdk/model/selector";
import { DomainError } from "./domain-error.ts";
import { createRateLimit } from "./rate-limit.ts";

// Each SVID is an entry of the ledger for ever, and the audience of a JWT-SVID is whatever the caller says. A node's own
// bounds are below those that its server has for it: who comes to the server's holds up all workloads of the node.

interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

const dayMs = 24 * 3_600_000;

/** No more than this in any 24 hours, whenever they begin: half of it at once, and the other half as they go by. */
function inADay(max: number): Rate {
  return { burst: max / 2, perSecond: max / 2 / (dayMs / 1000) };
}

/** What one server process lets a Node have, of either kind of SVID: of each entry, and of all; and of its own. */
export const nodeRates = {
  ofEntry: { burst: 200, perSecond: 2 },
  ofEntryInADay: inADay(100_000),
  ofNode: { burst: 2_000, perSecond: 50 },
  renewals: { burst: 20, perSecond: 0.1 },
} as const;

/** What workloads may have newly signed as JWT-SVIDs. */
export interface JwtSvidRates {
  /** One caller, of one entry. */
  readonly ofCaller: Rate;
  readonly ofCallerInADay: Rate;
  /** All callers, of one entry. */
  readonly ofEntry: Rate;
  readonly ofEntryInADay: Rate;
  readonly ofAll: Rate;
}

/** On a node. */
export const jwtRatesOnNode: JwtSvidRates = {
  ofCaller: { burst: 50, perSecond: 0.5 },
  ofCallerInADay: inADay(45_000),
  ofEntry: { burst: 180, perSecond: 1.8 },
  ofEntryInADay: inADay(90_000),
  ofAll: { burst: 1_800, perSecond: 45 },
};
/** On the server's own machine, where nobody else is in between. */
export const jwtRatesOnServer: JwtSvidRates = {
  ofCaller: { burst: 5_000, perSecond: 10 },
  ofCallerInADay: inADay(50_000),
  ofEntry: { burst: 20_000, perSecond: 40 },
  ofEntryInADay: inADay(100_000),
  ofAll: { burst: 40_000, perSecond: 80 },
};

const partiesMax = 10_000;
const containerKinds = ["k8s:pod-uid:", "k8s:container-name:"];

/** An entry of which more was asked for than there is in a day. */
export interface Overdrawn {
  readonly entry: EntryId;
  /** When that was last refused. */
  readonly lastAtMs: number;
}

export interface JwtSvidBounds {
  /** @throws DomainError `too_many_requests` */
  readonly admit: (entry: EntryId, caller: string) => void;
  /** Those of the last 24 hours. */
  readonly overdrawn: () => readonly Overdrawn[];
}

/** @param now milliseconds since the epoch */
export function boundsJwtSvids(rates: JwtSvidRates, now: () => number): JwtSvidBounds {
  const bounded = (rate: Rate) => createRateLimit({ ...rate, now, partiesMax }).take;
  const ofCaller = bounded(rates.ofCaller);
  const ofCallerInADay = bounded(rates.ofCallerInADay);
  const ofEntry = bounded(rates.ofEntry);
  const ofEntryInADay = bounded(rates.ofEntryInADay);
  const ofAll = bounded(rates.ofAll);
  const refusedForADay = new Map<EntryId, number>();

  function noteRefused(entry: EntryId): DomainError {
    refusedForADay.delete(entry);
    refusedForADay.set(entry, now());
    const [oldest] = refusedForADay.keys();
    if (refusedForADay.size > partiesMax && oldest !== undefined) refusedForADay.delete(oldest);
    return tooMany("in a day");
  }

  return {
    admit(entry, caller) {
      // A caller's own first: what it is refused takes nothing of what the others have.
      if (!ofCaller(`${caller} ${entry}`)) throw tooMany("at once");
      if (!ofCallerInADay(`${caller} ${entry}`)) throw noteRefused(entry);
      if (!ofEntry(entry)) throw tooMany("at once");
      if (!ofEntryInADay(entry)) throw noteRefused(entry);
      if (!ofAll("")) throw tooMany("at once");
    },
    overdrawn: () =>
      [...refusedForADay]
        .map(([entry, lastAtMs]) => ({ entry, lastAtMs }))
        .filter(({ lastAtMs }) => lastAtMs > now() - dayMs),
  };
}

function tooMany(when: string): DomainError {
  const detail = `too many JWT-SVIDs were asked for ${when}: use the ones you have`;
  return new DomainError("too_many_requests", detail);
}

/** Who asks: a user, since processes are made at will, and where it is told the container, since those often share a user. */
export function callerOf(uid: number, workload: readonly Selector[]): string {
  const container = workload.filter((selector) => containerKinds.some((kind) => selector.startsWith(kind)));
  return [uid, ...container.sort()].join(" ");
}
