import { createPublicKey, type KeyObject } from "node:crypto";
import { ExternalSigningKey } from "oidc-provider";
import type { TokenKeys } from "./issuer-deps.ts";

/**
 * The keys as the library takes them: it publishes all of them, and has the active one sign. No private key is shown to it.
 *
 * @param assertRecorded throws for a signing input that no journey recorded; called before every signature
 */
export function tokenSigningKeys(
  keys: TokenKeys,
  assertRecorded: (signingInput: Uint8Array) => void,
): ExternalSigningKey[] {
  if (!keys.published.some(({ kid }) => kid === keys.active.kid)) {
    throw new Error("the token key that signs is not published: nobody could verify its tokens");
  }
  const signActive = (data: Uint8Array) => {
    assertRecorded(data);
    return keys.active.sign(data);
  };
  return keys.published.map((jwk) =>
    signingKey(jwk.kid, createPublicKey({ key: jwk, format: "jwk" }), (data) => {
      if (jwk.kid !== keys.active.kid) throw new Error(`token key ${jwk.kid} is published, but not active`);
      return signActive(data);
    }),
  );
}

function signingKey(kid: string, publicKey: KeyObject, signData: (data: Uint8Array) => Uint8Array) {
  return Object.assign(new ExternalSigningKey(), {
    kid,
    alg: "ES256",
    keyObject: () => publicKey,
    sign: signData,
  });
}
