import { sha256 } from "@noble/hashes/sha2.js";
import { base64url, SignJWT } from "jose";
import { type PrivateJwk, publicJwkOf } from "./key-pair.ts";

export interface SignDeps {
  /** Milliseconds since the epoch. */
  now(): number;
  randomBytes(count: number): Uint8Array;
}

const assertionLifetimeSeconds = 60;

/**
 * A client assertion that authenticates `clientId` at `issuer` once, within 60 s.
 *
 * @see RFC 7523, section 3; OAuth FAPI 2.0: `aud` is the issuer, as a string
 */
export async function signClientAssertion(
  deps: SignDeps,
  client: { readonly clientId: string; readonly key: PrivateJwk; readonly issuer: string },
): Promise<string> {
  const nowSeconds = Math.floor(deps.now() / 1000);
  const claims = {
    iss: client.clientId,
    sub: client.clientId,
    aud: client.issuer,
    jti: newJti(deps),
    iat: nowSeconds,
    exp: nowSeconds + assertionLifetimeSeconds,
  };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "ES256", typ: "JWT", ...(client.key.kid && { kid: client.key.kid }) })
    .sign(client.key);
}

/**
 * A DPoP proof for one request; with `accessToken` for a request that carries that token.
 *
 * @see RFC 9449, section 4.2
 */
export async function signDpopProof(
  deps: SignDeps,
  request: {
    readonly key: PrivateJwk;
    readonly method: string;
    readonly url: string;
    readonly accessToken?: string;
    /** The last `DPoP-Nonce` of that server. */
    readonly nonce?: string | undefined;
  },
): Promise<string> {
  const { origin, pathname } = new URL(request.url);
  const { kty, crv, x, y } = publicJwkOf(request.key);
  const claims = {
    jti: newJti(deps),
    htm: request.method,
    htu: `${origin}${pathname}`,
    iat: Math.floor(deps.now() / 1000),
    ...(request.accessToken && { ath: hashOf(request.accessToken) }),
    ...(request.nonce && { nonce: request.nonce }),
  };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk: { kty, crv, x, y } })
    .sign(request.key);
}

/** A `jti` that nobody else will use. */
export function newJti(deps: SignDeps): string {
  return base64url.encode(deps.randomBytes(16));
}

function hashOf(text: string): string {
  return base64url.encode(sha256(new TextEncoder().encode(text)));
}
