import { canonicalJson, type JsonValue } from "../model/canonical-json.ts";
import type { Sha256 } from "../tlog/rfc6962.ts";
import { textDigest } from "../tlog/text-digest.ts";

/**
 * What a ledger entry holds as `claims_hash` of what was signed after it: the SHA-256 of the claims' canonical JSON,
 * base64url. A token whose hash stands in no entry is foreign to the log.
 *
 * @param claims JSON values only, all that are signed and no others
 * @throws TypeError for what has no canonical form
 * @see RFC 8785
 */
export function claimsHash(claims: Readonly<Record<string, unknown>>, hash?: Sha256): string {
  // Claims come out of JSON or go into it: `unknown` is what their schema says of members that it does not know.
  return textDigest(canonicalJson(claims as JsonValue), hash);
}
