import { createKeysById } from "../domain/keys-by-id.ts";

/** What a cache of live things needs. */
export interface LiveCacheDeps<Value> {
  readonly now: () => number;
  /** Only what is live is kept: what is not is read again each time, so no cache can refuse for longer than it must. */
  readonly isLive: (value: Value) => boolean;
  /** The ids of all things that a value tells of: once one of them has changed, the value may be the old one. */
  readonly restsOn: (value: Value) => readonly string[];
  readonly entriesMax: number;
  /** A value is read again after this time, even if nobody said that it changed. */
  readonly maxAgeMs: number;
}

/** Values by key, the least recently used dropped first. Nothing correct may rest on what it returns being current. */
export interface LiveCache<Value> {
  readonly read: (key: string, load: () => Promise<Value | undefined>) => Promise<Value | undefined>;
  /** Drops every value that rests on the thing of this id, and keeps none that is being loaded now; touches no other. */
  readonly drop: (id: string) => void;
  /** Drops every value, and keeps none that is being loaded now. */
  readonly dropAll: () => void;
}

interface Kept<Value> {
  readonly value: Value;
  readonly readAtMs: number;
}

/** Makes an empty cache. */
export function createLiveCache<Value>(deps: LiveCacheDeps<Value>): LiveCache<Value> {
  const entries = new Map<string, Kept<Value>>();
  const resting = createKeysById();
  /** For each load under way the ids dropped since it began; it is in here only while not everything was. */
  const loads = new Set<Set<string>>();

  async function read(key: string, load: () => Promise<Value | undefined>): Promise<Value | undefined> {
    const kept = entries.get(key);
    if (kept !== undefined && deps.now() - kept.readAtMs < deps.maxAgeMs) {
      entries.delete(key);
      entries.set(key, kept);
      return kept.value;
    }
    forget(key);
    const dropped = new Set<string>();
    loads.add(dropped);
    const readAtMs = deps.now();
    try {
      const value = await load();
      // Read before the change it was told of meanwhile, the value may be the old one.
      const isCurrent = (read: Value) =>
        loads.has(dropped) && !deps.restsOn(read).some((id) => dropped.has(id));
      if (value !== undefined && isCurrent(value) && deps.isLive(value)) keep(key, { value, readAtMs });
      return value;
    } finally {
      loads.delete(dropped);
    }
  }

  function keep(key: string, kept: Kept<Value>): void {
    // Two may have loaded it at once.
    forget(key);
    entries.set(key, kept);
    resting.add(key, deps.restsOn(kept.value));
    if (entries.size > deps.entriesMax) {
      const [oldest] = entries.keys();
      if (oldest !== undefined) forget(oldest);
    }
  }

  function forget(key: string): void {
    const kept = entries.get(key);
    if (kept === undefined) return;
    entries.delete(key);
    resting.remove(key, deps.restsOn(kept.value));
  }

  function drop(id: string): void {
    for (const dropped of loads) dropped.add(id);
    for (const key of resting.keysOf(id)) forget(key);
  }

  function dropAll(): void {
    loads.clear();
    entries.clear();
    resting.clear();
  }

  return { read, drop, dropAll };
}
