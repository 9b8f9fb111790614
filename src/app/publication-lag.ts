/** How far a log is, and how far its published checkpoint. */
interface Progress {
  readonly id: string;
  readonly nextIndex: number;
  readonly publishedSize: number;
}

const lagMsMax = 10_000;

/**
 * Watches that checkpoints follow the entries: at each look it names the logs in which an entry that was there at an
 * earlier look, more than 10 s ago, still has no checkpoint. A log that only grows faster than anyone looks is not late.
 */
export function watchPublicationLag(now: () => number): (logs: readonly Progress[]) => string[] {
  const awaited = new Map<string, { readonly size: number; readonly sinceMs: number }>();
  return (logs) =>
    logs.flatMap(({ id, nextIndex, publishedSize }) => {
      const { size, sinceMs } = awaited.get(id) ?? { size: 0, sinceMs: 0 };
      if (publishedSize < size) return now() - sinceMs > lagMsMax ? [id] : [];
      awaited.set(id, { size: nextIndex, sinceMs: now() });
      return [];
    });
}
