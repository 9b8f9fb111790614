import { canonicalJson, type JsonValue } from "@countersign/sdk/model/canonical-json";
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
 * @see JWT-SVID, section 2; RFC 7515, section 7.1
 */
export function signJwtSvid({ kid, sign }: TokenKey, { sub, aud, iat, exp, jti }: JwtSvidClaims): string {
  const header = { alg: "ES256", kid, typ: "JWT" };
  const input = [header, { sub, aud: [...aud], iat, exp, jti }]
    .map((part: JsonValue) => Buffer.from(canonicalJson(part)).toString("base64url"))
    .join(".");
  return `${input}.${Buffer.from(sign(Buffer.from(input))).toString("base64url")}`;
}
