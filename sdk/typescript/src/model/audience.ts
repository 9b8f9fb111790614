import type { Brand } from "./brand.ts";

/** The URI of a Resource in canonical form: what `aud` carries and `resource` names. */
export type Audience = Brand<string, "Audience">;

const charsMax = 512;

// RFC 3986 without "%" (a second spelling of something), "#" (no fragment) and "*" (a pattern, where one is matched).
const characters = /^[A-Za-z0-9\-._~:/?[\]@!$&'()+,;=]+$/;

/**
 * The audience that `text` names, or undefined. A URI that has more than one spelling (userinfo, a fragment, dot
 * segments, percent-encoding, double slashes, upper-case hosts, default ports, an empty query, a host with a final
 * dot) is refused, never rewritten, so that no two resources can be taken for one another.
 *
 * @see RFC 8707, section 2 (absolute URI without a fragment); RFC 3986, section 6
 */
export function parseAudience(text: string): Audience | undefined {
  if (text.length > charsMax || !characters.test(text)) return undefined;
  if (/^urn:[a-z0-9][a-z0-9-]{0,30}:[A-Za-z0-9._:/-]+$/.test(text)) return text as Audience;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") return undefined;
  if (url.username !== "" || url.password !== "" || url.pathname.includes("//")) return undefined;
  if (url.hostname.endsWith(".") || text.endsWith("?")) return undefined;
  return url.href === text || (isOriginOnly(text) && url.href === `${text}/`)
    ? (text as Audience)
    : undefined;
}

/**
 * Whether two URIs name one Resource. Only an origin-only URI may be written with or without its trailing slash; all
 * else is compared octet by octet.
 */
export function sameAudience(one: string, other: string): boolean {
  return withoutRootSlash(one) === withoutRootSlash(other);
}

/** The spelling to look a Resource up by: an origin-only URI loses its trailing slash. */
export function withoutRootSlash(uri: string): string {
  return uri.endsWith("/") && isOriginOnly(uri.slice(0, -1)) ? uri.slice(0, -1) : uri;
}

/** Every spelling that names the same Resource. */
export function spellingsOf(uri: string): string[] {
  const bare = withoutRootSlash(uri);
  return isOriginOnly(bare) ? [bare, `${bare}/`] : [bare];
}

function isOriginOnly(uri: string): boolean {
  return /^https?:\/\/[^/?]+$/.test(uri);
}
