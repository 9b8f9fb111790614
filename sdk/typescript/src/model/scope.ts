/** A set of scope tokens, sorted and without repeats. */
export type Scope = readonly string[];

const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/;
const tokensMax = 64;
const namedMax = 3;

/** What a scope token looks like, for those who describe it: a regular expression. */
export const scopeTokenPattern = scopeToken.source;

/**
 * The scope that a space-separated list names, sorted, or undefined when a token is illegal, longer than 128 bytes,
 * or there are more than 64. The empty string is the empty scope.
 *
 * @see RFC 6749, section 3.3
 */
export function parseScope(text: string): Scope | undefined {
  if (text === "") return [];
  return scopeOf(text.split(" "));
}

/** The scope that a list of tokens names; the rules of parseScope. */
export function scopeOf(tokens: readonly string[]): Scope | undefined {
  const distinct = [...new Set(tokens)].sort();
  return distinct.length <= tokensMax && distinct.every((token) => scopeToken.test(token))
    ? distinct
    : undefined;
}

/** The first tokens of a scope, and how many more there are: words of a bounded length for a scope of any. */
export function nameScope(scope: Scope): string {
  const more = scope.length - namedMax;
  const named = scope.slice(0, namedMax).join(" ");
  return more > 0 ? `${named} and ${more} more` : named;
}

/** The tokens of `wanted` that `granted` lacks: empty when `wanted` is no wider. Tokens compare octet by octet. */
export function scopeBeyond(wanted: Scope, granted: Scope): Scope {
  return wanted.filter((token) => !granted.includes(token));
}
