import type { VerifiedAccessToken } from "./verify-access-token.ts";

/** What one set of keys has verified before. Says nothing of expiry, audience or revocation: those are asked each time. */
export interface VerifiedTokens {
  /** What the token was verified to say, or what `verify` finds now; what it throws passes, and is not kept. */
  read(token: string, verify: () => Promise<VerifiedAccessToken>): Promise<VerifiedAccessToken>;
  /** To be called when the keys change: what a withdrawn one had signed is then no longer known. */
  forget(): void;
}

/**
 * Makes an empty memory of verified tokens, so that one that is presented often costs one signature check. The least
 * recently used is dropped first; only what verified is kept, so no stranger can fill it.
 *
 * @param tokensMax how many are kept, at most 16 KiB each
 */
export function createVerifiedTokens(tokensMax: number): VerifiedTokens {
  let known = new Map<string, VerifiedAccessToken>();
  return {
    read: async (token, verify) => {
      // A change of the keys begins another map: what is being verified under the old ones is kept nowhere.
      const tokens = known;
      const verified = tokens.get(token) ?? (await verify());
      tokens.delete(token);
      tokens.set(token, verified);
      const [oldest] = tokens.keys();
      if (tokens.size > tokensMax && oldest !== undefined) tokens.delete(oldest);
      return verified;
    },
    forget: () => {
      known = new Map();
    },
  };
}
