import { UsedBefore } from "../src/domain/domain-error.ts";
import type { Write } from "../src/store/write.ts";

/** What uses values up as if the commit of each came at once. */
export function usesUpAtOnce(): (value: string, expiresAt: Date) => Promise<Write> {
  const used = new Set<string>();
  return async (key, expiresAt) => {
    if (used.has(key)) throw new UsedBefore();
    used.add(key);
    return { into: "replay", row: { key, expires_at: expiresAt } };
  };
}
