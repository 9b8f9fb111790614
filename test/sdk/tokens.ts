import { randomBytes } from "node:crypto";
import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import { calculateJwkThumbprint, createLocalJWKSet, type JWTHeaderParameters, SignJWT } from "jose";

export const issuer = "https://issuer.example";
export const audience = "https://mail.example";
export const nowMs = Date.parse("2026-11-23T12:00:00Z");
export const nowSeconds = nowMs / 1000;
export const signDeps = {
  now: () => nowMs,
  randomBytes: (count: number) => new Uint8Array(randomBytes(count)),
};

/** An issuer's key and the presenter's, with the key set that a verifier would fetch. */
export async function makeParties() {
  const [issuing, presenting] = await Promise.all([makeKeyPair(), makeKeyPair()]);
  return {
    issuing: issuing.privateJwk,
    presenting: presenting.privateJwk,
    jkt: await calculateJwkThumbprint(presenting.publicJwk),
    keys: createLocalJWKSet({ keys: [issuing.publicJwk] }),
  };
}
export type Parties = Awaited<ReturnType<typeof makeParties>>;

export const agent = (name: string) => `spiffe://issuer.example/org/default/agent/${name}`;

/** `hops` actors, the presenter `agent("h0")` first. */
export function actOf(hops: number): unknown {
  let act: unknown;
  for (let hop = hops - 1; hop >= 0; hop--) {
    act = { iss: issuer, sub: agent(`h${hop}`), sub_profile: "ai_agent", ...(act !== undefined && { act }) };
  }
  return act;
}

/** Claims of a good access token of two hops, with `changes` laid over; an undefined change removes the claim. */
export function claimsOf(parties: Parties, changes: Record<string, unknown> = {}): Record<string, unknown> {
  const claims = {
    iss: issuer,
    sub: "usr_alice",
    sub_profile: "user",
    aud: audience,
    client_id: agent("h0"),
    org: "default",
    jti: "tok_1",
    iat: nowSeconds,
    exp: nowSeconds + 300,
    scope: "mail.read",
    txn: "txn_1",
    delegation: "dlg_leaf",
    delegation_root: "dlg_root",
    cnf: { jkt: parties.jkt },
    act: actOf(2),
    ...changes,
  };
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}

export async function signToken(
  parties: Parties,
  changes: Record<string, unknown> = {},
  header: Partial<JWTHeaderParameters> = {},
  key: PrivateJwk = parties.issuing,
): Promise<string> {
  return new SignJWT(claimsOf(parties, changes))
    .setProtectedHeader({
      alg: "ES256",
      typ: "at+jwt",
      ...(parties.issuing.kid && { kid: parties.issuing.kid }),
      ...header,
    })
    .sign(key);
}
