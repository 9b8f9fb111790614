import type { VerifiedAccessToken, VerifiedTokens } from "./verify-access-token.ts";

/** How much is kept. */
export interface VerifiedTokensBounds {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Longer ones, which hold the most when they are read, are verified each time. */
  readonly tokenCharsMax: number;
  readonly tokensMax: number;
  /** A token is verified again after this time: its key may have been withdrawn without anybody telling us. */
  readonly knownForMs: number;
}

interface Known {
  readonly verified: VerifiedAccessToken;
  readonly untilMs: number;
}

/**
 * Makes an empty memory of verified tokens, so that one that is presented often costs one signature check. The least
 * recently used is dropped first, and what has expired with it; only what verified is kept, so no stranger can fill it.
 */
export function createVerifiedTokens(bounds: VerifiedTokensBounds): VerifiedTokens {
  const { now, tokenCharsMax, tokensMax, knownForMs } = bounds;
  let known = new Map<string, Known>();
  return {
    read: async (token, verify) => {
      // A change of the keys begins another map: what is being verified under the old ones is kept nowhere.
      const tokens = known;
      const found = tokens.get(token);
      const kept = found !== undefined && now() < found.untilMs ? found : await verifyNow(verify);
      tokens.delete(token);
      if (token.length <= tokenCharsMax) tokens.set(token, kept);
      for (const [oldest, { untilMs }] of tokens) {
        if (tokens.size <= tokensMax && now() < untilMs) break;
        tokens.delete(oldest);
      }
      return kept.verified;
    },
    forget: () => {
      known = new Map();
    },
  };

  async function verifyNow(verify: () => Promise<VerifiedAccessToken>): Promise<Known> {
    const verified = await verify();
    return { verified, untilMs: Math.min(verified.claims.exp * 1000, now() + knownForMs) };
  }
}
