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
 * Lets the JWT authority that is active sign JWT-SVIDs and nothing else: it makes the header itself, of those members alone
 * that a JWT-SVID may have.
 *
 * @returns a function that gives the compact JWS
 * @see JWT-SVID, section 2; RFC 7515, section 7.1
 */
export function createJwtSvidSigner(activeKey: () => TokenKey): (claims: JwtSvidClaims) => string {
  return ({ sub, aud, iat, exp, jti }) => {
    const { kid, sign } = activeKey();
    const input = [
      { alg: "ES256", kid, typ: "JWT" },
      { sub, aud: [...aud], iat, exp, jti },
    ]
      .map((part: JsonValue) => Buffer.from(canonicalJson(part)).toString("base64url"))
      .join(".");
    return `${input}.${Buffer.from(sign(Buffer.from(input))).toString("base64url")}`;
  };
}
