import type { EntryId, NodeId } from "@countersign/sdk/model/ids";
import { DomainError } from "./domain-error.ts";
import { createRateLimit } from "./rate-limit.ts";

/**
 * How often a Node may ask: each SVID is an entry in the ledger for ever, and a node that was taken over would fill it. The
 * bounds are those of one server process, well above what a machine needs that starts all its workloads at once.
 */
export interface NodeLimits {
  /** @throws DomainError `too_many_requests` */
  readonly admitSvid: (node: NodeId, entry: EntryId) => void;
  /** @throws DomainError `too_many_requests` */
  readonly admitRenewal: (node: NodeId) => void;
}

/** @param now milliseconds since the epoch */
export function createNodeLimits(now: () => number): NodeLimits {
  const ofNode = createRateLimit({ now, burst: 2_000, perSecond: 50, partiesMax: 10_000 });
  const ofEntry = createRateLimit({ now, burst: 200, perSecond: 2, partiesMax: 100_000 });
  const renewals = createRateLimit({ now, burst: 20, perSecond: 0.1, partiesMax: 10_000 });
  return {
    admitSvid(node, entry) {
      // First, so that what is asked too often for one entry takes nothing of what the node has for the others.
      if (!ofEntry.take(`${node} ${entry}`)) throw tooMany(entry);
      if (!ofNode.take(node)) throw tooMany("the node");
    },
    admitRenewal(node) {
      if (!renewals.take(node)) throw tooMany("the node itself");
    },
  };
}

function tooMany(what: string): DomainError {
  return new DomainError("too_many_requests", `too many SVIDs were asked for ${what}: try again later`);
}
