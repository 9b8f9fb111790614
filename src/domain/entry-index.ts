import type { Selector } from "@countersign/sdk/model/selector";

/** Kinds of selectors that are found out only while an entry asks for one, since that reads much. */
export const costlyKinds = ["unix:path", "unix:sha256"] as const;
export type CostlyKind = (typeof costlyKinds)[number];

interface Indexed {
  readonly id: string;
  /** At least one, each once. */
  readonly selectors: readonly Selector[];
}

/** RegistrationEntries by their selectors. */
export interface EntryIndex<Entry extends Indexed> {
  /** Entries of which each selector is among these, by id. Looks at few others, however many there are. */
  readonly match: (workload: readonly Selector[]) => readonly Entry[];
  /** Those that one of the entries asks for. */
  readonly costlyKinds: ReadonlySet<CostlyKind>;
  readonly size: number;
}

/**
 * Indexes entries under the rarest of their selectors: one that many share, `unix:uid:1000`, is then looked up for the few
 * alone that have no other. A workload costs one look for each of its selectors, and one for each entry behind it.
 */
export function createEntryIndex<Entry extends Indexed>(entries: Iterable<Entry>): EntryIndex<Entry> {
  const all = [...entries];
  const counts = new Map<Selector, number>();
  for (const { selectors } of all)
    for (const selector of selectors) counts.set(selector, (counts.get(selector) ?? 0) + 1);
  const buckets = new Map<Selector, Entry[]>();
  for (const entry of all) {
    const [rarest] = entry.selectors.toSorted(
      (one, other) => (counts.get(one) ?? 0) - (counts.get(other) ?? 0),
    );
    if (rarest === undefined) continue;
    const bucket = buckets.get(rarest);
    if (bucket === undefined) buckets.set(rarest, [entry]);
    else bucket.push(entry);
  }
  return {
    size: all.length,
    costlyKinds: costlyKindsOf(counts.keys()),
    match(workload) {
      const has = new Set(workload);
      const candidates = [...has].flatMap((selector) => buckets.get(selector) ?? []);
      return candidates
        .filter(({ selectors }) => selectors.every((selector) => has.has(selector)))
        .sort((one, other) => (one.id < other.id ? -1 : 1));
    },
  };
}

function costlyKindsOf(selectors: Iterable<Selector>): ReadonlySet<CostlyKind> {
  const kinds = new Set<CostlyKind>();
  for (const selector of selectors)
    for (const kind of costlyKinds) if (selector.startsWith(`${kind}:`)) kinds.add(kind);
  return kinds;
}
