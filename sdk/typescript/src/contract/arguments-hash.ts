import { canonicalJson, type JsonValue } from "../model/canonical-json.ts";
import type { Sha256 } from "../tlog/rfc6962.ts";
import { textDigest } from "../tlog/text-digest.ts";

/**
 * What stands for the arguments of a call wherever they are not to be read: the SHA-256 of canonical JSON, base64url,
 * over them and the hash of the access token under which the call is made. Who has the token (the agent, the Resource,
 * the issuer) can compare; to everyone else it gives no way to find arguments by guessing.
 *
 * @param given the arguments; a call without any has `{}`
 * @throws TypeError for what has no canonical form
 * @see RFC 8785; RFC 9449, section 4.2 (`ath`)
 */
export function argumentsHash(
  given: Readonly<Record<string, unknown>>,
  accessToken: string,
  hash?: Sha256,
): string {
  // Arguments come out of JSON or go into it.
  return textDigest(
    canonicalJson({ arguments: given as JsonValue, ath: textDigest(accessToken, hash) }),
    hash,
  );
}
