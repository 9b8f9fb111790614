import type { VerifiedAccessToken, VerifiedTokens } from "./verify-access-token.ts";

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
