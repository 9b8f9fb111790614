import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { type BelievedBundle, type FederatedTrustDomain, trustEndsAtMs } from "../domain/federation.ts";
import type { Database } from "../store/database.ts";
import { listFederations } from "../store/federation.ts";
import { keepUp } from "../store/keep-up.ts";
import { endOfBundle, readBundle } from "../svid/federation/read-bundle.ts";

export interface WatchFederationDeps {
  readonly db: Database;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Told when the bundles could not be read again; those that are known stay. */
  readonly onReloadFailed: (error: unknown) => void;
}

/** The bundles of the foreign trust domains that are federated with, as the database has them. */
export interface FederatedBundles {
  /** Those of these trust domains, sorted; none that is believed no more, or that is not federated with. */
  readonly bundlesOf: (trustDomains: Iterable<TrustDomain>) => readonly TrustBundle[];
  /** The same, and until when each is believed. */
  readonly believedOf: (trustDomains: Iterable<TrustDomain>) => readonly BelievedBundle[];
  /** Calls the listener after each change, the end of what is believed among them, within seconds. */
  readonly onChange: (listener: () => void) => void;
  readonly close: () => Promise<void>;
}

interface Known extends BelievedBundle {
  readonly revision: string;
  readonly untilMs: number;
}

const pageRows = 200;

/** Reads the foreign bundles and keeps up with them. @throws when they can't be read the first time */
export async function watchFederation(deps: WatchFederationDeps): Promise<FederatedBundles> {
  const { db, now, onReloadFailed } = deps;
  const listeners = new Set<() => void>();
  let known = await readAll(db, new Map());
  let told = bundlesOf(known.keys());

  async function read(): Promise<void> {
    known = await readAll(db, known);
    const before = told;
    told = bundlesOf(known.keys());
    const isSame = told.length === before.length && told.every((bundle, place) => before[place] === bundle);
    if (!isSame) for (const listener of listeners) listener();
  }

  function believedOf(names: Iterable<TrustDomain>): readonly BelievedBundle[] {
    const nowMs = now();
    const found = [...new Set(names)].sort().flatMap((name) => known.get(name) ?? []);
    return found.filter(({ untilMs }) => nowMs <= untilMs);
  }

  function bundlesOf(names: Iterable<TrustDomain>): readonly TrustBundle[] {
    return believedOf(names).map(({ bundle }) => bundle);
  }

  const tables = ["federated_trust_domain", "federated_bundle"] as const;
  const { close } = await keepUp({ db, read, onReloadFailed }, tables);
  return {
    bundlesOf,
    believedOf,
    onChange: (listener) => void listeners.add(listener),
    close,
  };
}

async function readAll(
  db: Database,
  before: ReadonlyMap<TrustDomain, Known>,
): Promise<ReadonlyMap<TrustDomain, Known>> {
  const all = new Map<TrustDomain, Known>();
  for (let after: string | undefined; ; ) {
    const page = await listFederations(db, { after, limit: pageRows });
    for (const federation of page) {
      const { trustDomain } = federation;
      const one = knownOf(federation, before.get(trustDomain));
      if (one !== undefined) all.set(trustDomain, one);
    }
    after = page.at(-1)?.id;
    if (page.length < pageRows) return all;
  }
}

/** What was read before stays the same object, so that keys which were imported need not be again. */
function knownOf(federation: FederatedTrustDomain, before: Known | undefined): Known | undefined {
  const { id, trustDomain, bundle: held } = federation;
  if (held === undefined) return undefined;
  const revision = `${id} ${held.revision}`;
  const bundle =
    before?.revision === revision
      ? before.bundle
      : readBundle(trustDomain, Buffer.from(held.text, "utf8")).bundle;
  return { revision, bundle, untilMs: trustEndsAtMs(federation, endOfBundle(bundle)) };
}
