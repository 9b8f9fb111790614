import { hash } from "node:crypto";
import type { IncomingMessage } from "node:http";

/**
 * The strong ETag of a representation: as long as its text is the same, so is the tag.
 *
 * @param held what If-Match holds of the thing; the first part of the tag stands for it
 * @see RFC 9110, section 8.8.3
 */
export function etagOf(text: string, held?: object): string {
  return `"${held === undefined ? "" : `${digestOf(held)}.`}${digestOf(text)}"`;
}

function digestOf(part: string | object): string {
  const text = typeof part === "string" ? part : JSON.stringify(part);
  return hash("sha256", text, "base64url").slice(0, 32);
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
 * Whether what `If-Match` demands holds: one of its tags is of the thing in this state, whatever else its text says by now.
 *
 * @see RFC 9110, section 13.1.1: strong comparison
 */
export function matches(ifMatch: string, held: object): boolean {
  return ifMatch.trim() === "*" || tagsOf(ifMatch).some((tag) => tag.startsWith(`"${digestOf(held)}.`));
}

function tagsOf(list: string): readonly string[] {
  return list.match(/(?:W\/)?"[^"]*"/g) ?? [];
}
