/** What a cache of live things needs. */
export interface LiveCacheDeps<Value> {
  readonly now: () => number;
  /** Only what is live is kept: what is not is read again each time, so no cache can refuse for longer than it must. */
  readonly isLive: (value: Value) => boolean;
  readonly entriesMax: number;
  /** A value is read again after this time, even if nobody said that it changed. */
  readonly maxAgeMs: number;
}

/** Values by key, the least recently used dropped first. Nothing correct may rest on what it returns being current. */
export interface LiveCache<Value> {
  readonly read: (key: string, load: () => Promise<Value | undefined>) => Promise<Value | undefined>;
  /** Drops every value of which `concerns` holds, and what is being loaded now is not kept. */
  readonly drop: (concerns: (value: Value) => boolean) => void;
}

/** Makes an empty cache. */
export function createLiveCache<Value>(deps: LiveCacheDeps<Value>): LiveCache<Value> {
  const entries = new Map<string, { readonly value: Value; readonly readAtMs: number }>();
  let drops = 0;

  async function read(key: string, load: () => Promise<Value | undefined>): Promise<Value | undefined> {
    const kept = entries.get(key);
    if (kept !== undefined) {
      entries.delete(key);
      if (deps.now() - kept.readAtMs < deps.maxAgeMs) {
        entries.set(key, kept);
        return kept.value;
      }
    }
    const dropsBefore = drops;
    const readAtMs = deps.now();
    const value = await load();
    // Read before the change it was told of meanwhile, the value may be the old one.
    if (value === undefined || drops !== dropsBefore || !deps.isLive(value)) return value;
    entries.set(key, { value, readAtMs });
    if (entries.size > deps.entriesMax) {
      const [oldest] = entries.keys();
      if (oldest !== undefined) entries.delete(oldest);
    }
    return value;
  }

  function drop(concerns: (value: Value) => boolean): void {
    drops++;
    for (const [key, { value }] of entries) if (concerns(value)) entries.delete(key);
  }

  return { read, drop };
}
