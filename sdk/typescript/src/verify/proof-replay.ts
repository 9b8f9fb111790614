/** Remembers which proofs have been used, for as long as they would be accepted. */
export interface ProofReplayStore {
  /**
   * Marks `key` as used until `expiresAtMs`, atomically. False when it was used before, or when it can't be remembered:
   * what can't be remembered must not be accepted.
   */
  consume(key: string, expiresAtMs: number): boolean | Promise<boolean>;
}

/** A store of one process, bounded: while `keysMax` live keys are held it refuses new ones rather than forget. */
export function createProofReplayMemory(deps: { now(): number }, keysMax = 100_000): ProofReplayStore {
  const expiries = new Map<string, number>();

  function dropExpired(nowMs: number): void {
    // Keys are held in the order of arrival and live about equally long: the expired ones come first.
    for (const [key, expiresAtMs] of expiries) {
      if (expiresAtMs > nowMs) return;
      expiries.delete(key);
    }
  }

  return {
    consume(key, expiresAtMs) {
      const nowMs = deps.now();
      dropExpired(nowMs);
      const usedUntilMs = expiries.get(key);
      if (usedUntilMs !== undefined && usedUntilMs > nowMs) return false;
      if (expiries.size >= keysMax) return false;
      expiries.set(key, expiresAtMs);
      return true;
    },
  };
}
