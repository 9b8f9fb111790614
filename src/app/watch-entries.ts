import type { NodeId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Selector } from "@countersign/sdk/model/selector";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { type CostlyKind, createEntryIndex } from "../domain/entry-index.ts";
import type { RegistrationEntry } from "../domain/registration-entry.ts";
import type { SvidSource } from "../domain/svid-source.ts";
import type { Database } from "../store/database.ts";
import { keepUp } from "../store/keep-up.ts";
import { findLatestEntryChange, findNewestEntryOf, listEntriesOf } from "../store/registration-entries.ts";

export interface WatchEntriesDeps {
  readonly db: Database;
  readonly trustDomain: TrustDomain;
  /** Told when others are known than before. */
  readonly onChanged: () => void;
  /** Told when the entries could not be read again; those that are known stay. */
  readonly onReloadFailed: (error: unknown) => void;
}

/** The entries that one parent attests for, in memory: what they say is read again by every commit that issues on one. */
export interface WatchedEntries {
  readonly match: (workload: readonly Selector[]) => readonly RegistrationEntry[];
  /** The same; where none matches, and one was made that is not known here yet, once that is. */
  readonly matchNow: (workload: readonly Selector[]) => Promise<readonly RegistrationEntry[]>;
  /** Reads them again if any has changed; of several calls at a time, one reading comes after all of them. */
  readonly reload: () => Promise<void>;
  /** Those that an entry has asked for since we started. */
  readonly wantedKinds: SvidSource["wantedKinds"];
  readonly close: () => Promise<void>;
}

/** @param parent null: the server itself @throws when they can't be read the first time */
export async function watchEntries(
  deps: WatchEntriesDeps,
  organization: OrganizationId,
  parent: NodeId | null,
): Promise<WatchedEntries> {
  const { db, trustDomain, onChanged, onReloadFailed } = deps;
  const wanted = new Set<CostlyKind>();
  const readAll = async () => {
    // Before the entries: a change that comes between is read twice rather than never.
    const asOf = await findLatestEntryChange(db, organization);
    const entries = await listEntriesOf(db, trustDomain, organization, parent);
    const indexed = createEntryIndex(entries);
    for (const kind of indexed.costlyKinds) wanted.add(kind);
    return { ...indexed, newest: entries.at(-1)?.id, asOf };
  };
  let index = await readAll();

  async function read(): Promise<void> {
    if ((await findLatestEntryChange(db, organization)) === index.asOf) return;
    index = await readAll();
    onChanged();
  }

  // Never what correctness rests on: whatever is issued is issued on what its commit reads.
  const { reload, close } = await keepUp({ db, read, onReloadFailed }, ["registration_entry"]);
  return {
    match: (workload) => index.match(workload),
    async matchNow(workload) {
      const known = index.match(workload);
      if (known.length > 0) return known;
      // Whoever is told that an entry is made may start its workload before we were told; or just as we are.
      if ((await findNewestEntryOf(db, organization, parent)) !== index.newest) await reload();
      return index.match(workload);
    },
    reload,
    wantedKinds: () => wanted,
    close,
  };
}
