import type { EntryId, NodeId } from "@countersign/sdk/model/ids";
import { DomainError } from "./domain-error.ts";
import { createRateLimit } from "./rate-limit.ts";
import { nodeRates } from "./svid-rates.ts";

/**
 * How often a Node may ask: each SVID is an entry in the ledger for ever, and a node that was taken over would fill it. The
 * bounds are those of one server process, well above what a machine needs that starts all its workloads at once.
 */
export interface NodeLimits {
  /** @throws DomainError `too_many_requests` */
  readonly admitSvid: (node: NodeId, kind: "x509" | "jwt", entry: EntryId) => void;
  /** @throws DomainError `too_many_requests` */
  readonly admitRenewal: (node: NodeId) => void;
}

/** @param now milliseconds since the epoch */
export function createNodeLimits(now: () => number): NodeLimits {
  const ofNode = createRateLimit({ now, ...nodeRates.ofNode, partiesMax: 10_000 });
  const ofEntry = createRateLimit({ now, ...nodeRates.ofEntry, partiesMax: 100_000 });
  const ofEntryInADay = createRateLimit({ now, ...nodeRates.ofEntryInADay, partiesMax: 100_000 });
  const renewals = createRateLimit({ now, ...nodeRates.renewals, partiesMax: 10_000 });
  return {
    // Each kind by itself: whoever has JWT-SVIDs signed for ever new audiences takes no X.509-SVID from the others.
    admitSvid(node, kind, entry) {
      // First, so that what is asked too often for one entry takes nothing of what the node has for the others.
      const party = `${kind} ${node} ${entry}`;
      if (!ofEntry.take(party) || !ofEntryInADay.take(party)) throw tooMany(entry);
      if (!ofNode.take(`${kind} ${node}`)) throw tooMany("the node");
    },
    admitRenewal(node) {
      if (!renewals.take(node)) throw tooMany("the node itself");
    },
  };
}

function tooMany(what: string): DomainError {
  return new DomainError("too_many_requests", `too many SVIDs were asked for ${what}: try again later`);
}
