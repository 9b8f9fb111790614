import type { TokenKey } from "./token-key.ts";

/**
 * A JWT-SVID by a JWT authority, as the compact JWS: its header is of those members alone that one may have.
 *
 * @param payload its claims, as canonical JSON
 * @see JWT-SVID, sections 2 and 3; RFC 7515, section 7.1
 */
export function signJwtSvid({ kid, sign }: TokenKey, payload: string): string {
  const header = JSON.stringify({ alg: "ES256", kid, typ: "JWT" });
  const input = [header, payload].map((part) => Buffer.from(part).toString("base64url")).join(".");
  return `${input}.${Buffer.from(sign(Buffer.from(input))).toString("base64url")}`;
}
