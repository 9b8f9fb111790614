import type { TokenKey } from "./token-key.ts";

/** The claims that a JWT-SVID has of us. @see JWT-SVID, section 3 */
export interface JwtSvidClaims {
  readonly sub: string;
  readonly aud: readonly string[];
  /** Epoch seconds. */
  readonly iat: number;
  readonly exp: number;
  readonly jti: string;
}

/**
 * A JWT-SVID by a JWT authority, as the compact JWS: its header is of those members alone that one may have.
 *
 * @param payload its claims, as canonical JSON
 * @see JWT-SVID, section 2; RFC 7515, section 7.1
 */
export function signJwtSvid({ kid, sign }: TokenKey, payload: string): string {
  const header = JSON.stringify({ alg: "ES256", kid, typ: "JWT" });
  const input = [header, payload].map((part) => Buffer.from(part).toString("base64url")).join(".");
  return `${input}.${Buffer.from(sign(Buffer.from(input))).toString("base64url")}`;
}
