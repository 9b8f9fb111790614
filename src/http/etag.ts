import { hash } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** The strong ETag of a representation: as long as its text is the same, so is the tag. @see RFC 9110, section 8.8.3 */
export function etagOf(text: string): string {
  return `"${hash("sha256", text, "base64url").slice(0, 32)}"`;
}

/** Whether the caller has this representation already. @see RFC 9110, section 13.1.2: weak comparison */
export function isFresh({ headers }: Pick<IncomingMessage, "headers">, etag: string): boolean {
  const wanted = headers["if-none-match"];
  return (
    wanted !== undefined &&
    (wanted.trim() === "*" || tagsOf(wanted).some((tag) => tag.replace(/^W\//, "") === etag))
  );
}

/**
 * Whether what `If-Match` demands holds.
 *
 * @param etag undefined for what has no representation
 * @see RFC 9110, section 13.1.1: strong comparison
 */
export function matches(ifMatch: string, etag: string | undefined): boolean {
  return etag !== undefined && (ifMatch.trim() === "*" || tagsOf(ifMatch).includes(etag));
}

function tagsOf(list: string): readonly string[] {
  return list.match(/(?:W\/)?"[^"]*"/g) ?? [];
}
