import { type NodeChange, nodeBundlesSchema } from "@countersign/sdk/contract/node-face";
import { attestedChecksum } from "@countersign/sdk/model/agent-configuration";
import type { Selector } from "@countersign/sdk/model/selector";
import { createSvidHolder, type MatchedEntry, type SvidHolder } from "../domain/svid-holder.ts";
import { jwtRatesOnNode } from "../domain/svid-rates.ts";
import type { AttestWorkload, SvidSource } from "../domain/svid-source.ts";
import { areSignedBy, bundlesFor, tellsOfEnds } from "./believed-bundles.ts";
import { createHeldEntries, type HeldEntries, type HeldEntry } from "./held-entries.ts";
import { issueJwt, issueX509 } from "./issue.ts";
import type { NodeEvent } from "./node-event.ts";
import { bundlesOf, bundlesToWire, type NodeIdentity } from "./node-identity.ts";
import { followChanges, keepAsking, keepRenewing, type NodeTime, wakeAt } from "./node-loops.ts";
import { createOwnSvid, type OwnSvid } from "./own-svid.ts";
import type { ServerConnection } from "./server-connection.ts";
import { createServerWork, isUnauthenticated, type ServerWork } from "./server-work.ts";

export interface NodeSourceDeps extends NodeTime {
  readonly connection: ServerConnection;
  readonly dataDir: string;
  readonly attest: AttestWorkload;
  readonly identity: { current: NodeIdentity };
  readonly onEvent: (event: NodeEvent) => void;
}

const everything: NodeChange = { ids: [], bundles: true, lost: true };

/** How a node is, from what it has in memory. */
export interface NodeStanding {
  /** Since when the server does not answer; undefined while it does. */
  readonly serverAwaySinceMs: number | undefined;
  readonly lastAnswerAtMs: number;
  /** When the node's own SVID ends. */
  readonly svidExpiresAtMs: number;
  /** Undefined until the server has told them, and once the node is none any more. */
  readonly entries: number | undefined;
  /** SVIDs that have not ended. */
  readonly held: ReturnType<SvidHolder["held"]>;
  /** Since the node runs. */
  readonly attestationsRefused: number;
  readonly renewalsFailed: number;
}

export interface NodeSource {
  readonly source: SvidSource;
  readonly standing: () => NodeStanding;
  readonly close: () => Promise<void>;
}

/**
 * A source of SVIDs that has them from a server: it knows this node's entries, has keys certified as they are asked for, and
 * serves on from memory while the server is away.
 */
export function openNodeSource(deps: NodeSourceDeps): NodeSource {
  const { identity, now, onEvent } = deps;
  const work = createServerWork({
    now,
    onEvent,
    onEnded(code) {
      if (code === "not_attested") own.forget();
      holder.drop(entries.clear());
      holder.tell();
    },
  });
  const own = createOwnSvid({ ...deps, connection: work.watched(deps.connection) });
  const entries = createHeldEntries(own.connection, identity.current.trustDomain);
  const holder = openHolder(deps, own.connection, entries, () => work.next(readBundles));
  const attest = countsRefusals(deps.attest);
  const ends = tellsOfEnds(deps, holder.tell);

  async function sync(what: "changes" | "everything"): Promise<void> {
    holder.drop(await entries.sync(what));
    holder.tell();
  }

  async function readBundles(): Promise<void> {
    const read = await askBundles(own.connection);
    try {
      if (!areSame(read, identity.current)) await own.learn(read);
    } finally {
      ends.look();
      holder.tell();
    }
  }

  async function read({ ids, bundles, lost }: NodeChange): Promise<void> {
    try {
      // First: whatever the entries federate with is known once they are.
      if (bundles) await readBundles();
    } finally {
      // What fails of the bundles keeps no stop, and no entry, from being heard of.
      if (lost || ids.length > 0) await sync(lost ? "everything" : "changes");
    }
  }

  function onChange(change: NodeChange): void {
    const { ids } = change;
    // At once, though what is asked for next may take long: what was stopped is given out no more.
    entries.touch(ids);
    holder.drop(new Set(ids));
    void work.next(() => read(change));
  }

  const onFailed = async (error: unknown): Promise<void> =>
    isUnauthenticated(error) ? work.next(own.renew) : work.failed(error);

  const running = [
    followChanges({ ...deps, connection: own.connection }, { onChange, onFailed }, work.ending),
    keepRenewing(deps, () => work.next(own.renew), work.ending),
    keepAsking(deps, () => work.next(() => read(everything)), work.ending),
  ];
  return {
    source: {
      ...holder,
      trustDomain: identity.current.trustDomain,
      wantedKinds: entries.wantedKinds,
      attest: (peer) => attest.attest(peer, entries.wantedKinds()),
      bundles: async (workload) => bundlesFor(identity.current.bundles, entries.match(workload), now()),
    },
    standing: () => standingOf({ identity, work, own, entries, holder, attest }),
    async close() {
      running.push(work.close());
      holder.close();
      ends.close();
      deps.connection.close();
      await Promise.allSettled(running).then(own.kept);
    },
  };
}

interface Parts extends Pick<NodeSourceDeps, "identity"> {
  readonly work: ServerWork;
  readonly own: OwnSvid;
  readonly entries: HeldEntries;
  readonly holder: SvidHolder;
  readonly attest: { readonly refused: () => number };
}

function standingOf({ identity, work, own, entries, holder, attest }: Parts): NodeStanding {
  return {
    serverAwaySinceMs: work.awaySinceMs(),
    lastAnswerAtMs: work.lastAnswerAtMs(),
    svidExpiresAtMs: identity.current.expiresAtMs,
    entries: entries.count(),
    held: holder.held(),
    attestationsRefused: attest.refused(),
    renewalsFailed: own.renewalsFailed(),
  };
}

function openHolder(
  { identity, now, wait }: NodeSourceDeps,
  connection: ServerConnection,
  entries: HeldEntries,
  readBundles: () => Promise<void>,
): SvidHolder {
  return createSvidHolder<HeldEntry & MatchedEntry>({
    now,
    match: async (workload) => {
      const checksum = attestedChecksum(workload);
      return entries.match(workload).map((entry) => ({ ...entry, checksum }));
    },
    async issueX509(wanted) {
      const issued = await issueX509(connection, wanted);
      const svids = issued.map((one) => one?.svid);
      // What signs in the place of a tainted authority may be newer than the bundle here, which the SVIDs are given with.
      if (!areSignedBy(identity.current.bundles[0], svids)) await readBundles();
      return issued;
    },
    issueJwt: (entry, audience) => issueJwt(connection, entry, audience),
    jwtRates: jwtRatesOnNode,
    isPinned: (audience) => audience.includes(identity.current.issuer),
    wakeAt: (atMs, wake) => wakeAt({ now, wait }, atMs, wake),
  });
}

function countsRefusals(attest: AttestWorkload) {
  let refused = 0;
  return {
    refused: () => refused,
    async attest(...about: Parameters<AttestWorkload>): Promise<readonly Selector[]> {
      try {
        return await attest(...about);
      } catch (error) {
        refused++;
        throw error;
      }
    },
  };
}

async function askBundles(connection: ServerConnection): Promise<Read> {
  const answer = await connection.get("/v1/node/bundles", nodeBundlesSchema);
  return { issuer: answer.issuer, bundles: bundlesOf(answer) };
}

type Read = Pick<NodeIdentity, "issuer" | "bundles">;

function areSame(some: Read, others: Read): boolean {
  return JSON.stringify(bundlesToWire(some)) === JSON.stringify(bundlesToWire(others));
}
