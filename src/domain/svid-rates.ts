import type { EntryId } from "@countersign/sdk/model/ids";
import type { Selector } from "@countersign/sdk/model/selector";
import { DomainError } from "./domain-error.ts";
import { createRateLimit } from "./rate-limit.ts";

// Each SVID is an entry of the ledger for ever, and the audience of a JWT-SVID is whatever the caller says. A node's own
// bounds are below those that its server has for it: who comes to the server's holds up all workloads of the node.

/** What one server process lets a Node have, of either kind of SVID: of each entry, and of all; and of its own. */
export const nodeRates = {
  ofEntry: { burst: 200, perSecond: 2 },
  ofNode: { burst: 2_000, perSecond: 50 },
  renewals: { burst: 20, perSecond: 0.1 },
} as const;

interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** What workloads may have newly signed as JWT-SVIDs. */
export interface JwtSvidRates {
  /** One caller, of one entry. */
  readonly ofCaller: Rate;
  /** All callers, of one entry. */
  readonly ofEntry: Rate;
  readonly ofAll: Rate;
}

/** On a node. */
export const jwtRatesOnNode: JwtSvidRates = {
  ofCaller: { burst: 50, perSecond: 0.5 },
  ofEntry: { burst: 180, perSecond: 1.8 },
  ofAll: { burst: 1_800, perSecond: 45 },
};
/** On the server's own machine, where nobody else is in between. */
export const jwtRatesOnServer: JwtSvidRates = {
  ofCaller: { burst: 5_000, perSecond: 10 },
  ofEntry: { burst: 20_000, perSecond: 40 },
  ofAll: { burst: 40_000, perSecond: 80 },
};

const partiesMax = 10_000;
const containerKinds = ["k8s:pod-uid:", "k8s:container-name:"];

/** @param now milliseconds since the epoch @returns a function that throws DomainError `too_many_requests` */
export function boundsJwtSvids(
  rates: JwtSvidRates,
  now: () => number,
): (entry: EntryId, caller: string) => void {
  const bounded = (rate: Rate) => createRateLimit({ ...rate, now, partiesMax }).take;
  const ofCaller = bounded(rates.ofCaller);
  const ofEntry = bounded(rates.ofEntry);
  const ofAll = bounded(rates.ofAll);
  return (entry, caller) => {
    // A caller's own first: what it is refused takes nothing of what the others have.
    if (ofCaller(`${caller} ${entry}`) && ofEntry(entry) && ofAll("")) return;
    throw new DomainError("too_many_requests", "too many JWT-SVIDs were asked for: use the ones you have");
  };
}

/** Who asks: a user, since processes are made at will, and where it is told the container, since those often share a user. */
export function callerOf(uid: number, workload: readonly Selector[]): string {
  const container = workload.filter((selector) => containerKinds.some((kind) => selector.startsWith(kind)));
  return [uid, ...container.sort()].join(" ");
}
