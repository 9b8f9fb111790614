/** Reads under a key, or shares what somebody else is reading or has just read under it. */
export type SharedReads<Value> = (key: string, read: () => Promise<Value>) => Promise<Value>;

/**
 * Makes reads that are shared by key. The key names all that the value depends on: a value is never out of date, only
 * dropped when there are more than `max`. What fails is not kept.
 */
export function createSharedReads<Value>(max: number): SharedReads<Value> {
  const reads = new Map<string, Promise<Value>>();
  return (key, read) => {
    const shared = reads.get(key);
    if (shared !== undefined) return shared;
    const reading = read();
    reads.set(key, reading);
    reading.catch(() => reads.delete(key));
    if (reads.size > max) {
      const [oldest] = reads.keys();
      if (oldest !== undefined) reads.delete(oldest);
    }
    return reading;
  };
}
