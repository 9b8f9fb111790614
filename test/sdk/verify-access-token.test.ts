import { makeKeyPair, publicJwkOf } from "@countersign/sdk/client/key-pair";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { verifyAccessToken } from "@countersign/sdk/verify/verify-access-token";
import { base64url, createLocalJWKSet, SignJWT, UnsecuredJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import {
  actOf,
  agent,
  audience,
  claimsOf,
  issuer,
  makeParties,
  nowMs,
  nowSeconds,
  type Parties,
  signToken,
} from "./tokens.ts";

let parties: Parties;
beforeAll(async () => {
  parties = await makeParties();
});

const verify = (token: string, expected = { issuer, audience }) =>
  verifyAccessToken({ keys: parties.keys, now: () => nowMs }, token, expected);

async function codeOf(outcome: Promise<unknown>): Promise<string> {
  const error = await outcome.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error instanceof VerificationError ? error.code : `no VerificationError: ${String(error)}`;
}

describe("a good access token", () => {
  it("yields its claims, its scope and its chain, the presenter first", async () => {
    const verified = await verify(await signToken(parties));
    expect(verified.chain.map((actor) => actor.sub)).toEqual([agent("h0"), agent("h1")]);
    expect(verified.scope).toEqual(["mail.read"]);
    expect(verified.confirmation).toEqual({ jkt: parties.jkt });
    expect(verified.claims.sub).toBe("usr_alice");
  });

  it("needs no chain when nothing was delegated", async () => {
    const direct = { delegation: undefined, delegation_root: undefined, act: undefined };
    expect((await verify(await signToken(parties, direct))).chain).toEqual([]);
  });

  it("is accepted for an origin with or without the trailing slash", async () => {
    await verify(await signToken(parties), { issuer, audience: `${audience}/` });
  });

  it("is accepted for whichever audience only by a verifier that names none", async () => {
    const token = await signToken(parties, { aud: "https://other.example" });
    const deps = { keys: parties.keys, now: () => nowMs };
    expect((await verifyAccessToken(deps, token, { issuer })).claims.aud).toBe("https://other.example");
    const forgotten = Object.assign({ issuer, audience }, { audience: undefined as unknown as string });
    expect(await codeOf(verify(token, forgotten))).toBe("audience_mismatch");
    const nobody = await signToken(parties, { aud: undefined });
    expect(await codeOf(verifyAccessToken(deps, nobody, { issuer }))).toBe("claims_invalid");
  });

  it("is accepted within the leeway after its end, and not beyond", async () => {
    await verify(await signToken(parties, { exp: nowSeconds - 4 }));
    expect(await codeOf(verify(await signToken(parties, { exp: nowSeconds - 6 })))).toBe("expired");
  });

  it("with 16 hops is walked to the end", async () => {
    expect((await verify(await signToken(parties, { act: actOf(16) }))).chain).toHaveLength(16);
  });
});

describe("refuses", () => {
  const forgeries: Record<string, [string, () => Promise<string> | string]> = {
    "an ID token or any other type": ["type_not_accepted", () => signToken(parties, {}, { typ: "JWT" })],
    "a DPoP proof as a token": ["type_not_accepted", () => signToken(parties, {}, { typ: "dpop+jwt" })],
    "alg none": [
      "algorithm_not_accepted",
      () => withHeader(new UnsecuredJWT(claimsOf(parties)).encode(), { alg: "none", typ: "at+jwt" }),
    ],
    "HS256 keyed with the issuer's public key": ["algorithm_not_accepted", () => hmacWithPublicKey()],
    "a key that the token brings along": ["signature_invalid", () => signedWithOwnJwk()],
    "a key that the issuer never published": ["key_unknown", () => signToken(parties, {}, { kid: "other" })],
    "a foreign signature under the issuer's kid": [
      "signature_invalid",
      async () => signToken(parties, {}, {}, (await makeKeyPair()).privateJwk),
    ],
    "a critical extension": [
      "algorithm_not_accepted",
      () =>
        signToken(parties).then((token) =>
          withHeader(token, { alg: "ES256", typ: "at+jwt", crit: ["unheard-of"], "unheard-of": 1 }),
        ),
    ],
    "another issuer": ["issuer_unknown", () => signToken(parties, { iss: "https://evil.example" })],
    "an issuer that only begins alike": ["issuer_unknown", () => signToken(parties, { iss: `${issuer}/` })],
    "another audience": ["audience_mismatch", () => signToken(parties, { aud: "https://files.example" })],
    "a list of audiences": [
      "audience_mismatch",
      () => signToken(parties, { aud: [audience, "https://files.example"] }),
    ],
    "a token without audience": ["claims_invalid", () => signToken(parties, { aud: undefined })],
    "an expired token": ["expired", () => signToken(parties, { exp: nowSeconds - 60 })],
    "a token without end": ["claims_invalid", () => signToken(parties, { exp: undefined })],
    "a token from the future": ["not_yet_valid", () => signToken(parties, { iat: nowSeconds + 60 })],
    "a token that is not valid yet": ["not_yet_valid", () => signToken(parties, { nbf: nowSeconds + 60 })],
    "a token without jti": ["claims_invalid", () => signToken(parties, { jti: undefined })],
    "a scope with an illegal token": ["claims_invalid", () => signToken(parties, { scope: 'mail.read "' })],
    "a chain of 17": ["chain_invalid", () => signToken(parties, { act: actOf(17) })],
    "a chain cut off entirely": ["chain_invalid", () => signToken(parties, { act: undefined })],
    "a chain whose outermost actor is not the client": [
      "chain_invalid",
      () => signToken(parties, { client_id: agent("h1") }),
    ],
    "a hop that names no SPIFFE ID": [
      "chain_invalid",
      () => signToken(parties, { act: { iss: issuer, sub: "mallory", sub_profile: "ai_agent" } }),
    ],
    "a hop with a key of its own": [
      "chain_invalid",
      () => signToken(parties, { act: { iss: issuer, sub: agent("h0"), sub_profile: "ai_agent", cnf: {} } }),
    ],
    "actors without a delegation": [
      "chain_invalid",
      () => signToken(parties, { delegation: undefined, delegation_root: undefined }),
    ],
    "a delegation without its root": [
      "chain_invalid",
      () => signToken(parties, { delegation_root: undefined }),
    ],
    "a confirmation it does not know": [
      "confirmation_mismatch",
      () => signToken(parties, { cnf: { jwe: "x" } }),
    ],
    "two confirmations at once": [
      "confirmation_mismatch",
      () => signToken(parties, { cnf: { jkt: "a", "x5t#S256": "b" } }),
    ],
    "a token cut short": ["signature_invalid", async () => (await signToken(parties)).slice(0, -4)],
    "what is no JWT": ["malformed", () => "not.a.jwt"],
    "the empty string": ["malformed", () => ""],
    "a token longer than 16 KiB": ["malformed", () => "a".repeat(16_385)],
  };
  for (const [name, [code, forge]] of Object.entries(forgeries)) {
    it(name, async () => expect(await codeOf(verify(await forge()))).toBe(code));
  }

  it("nothing when the keys can't be fetched: that failure passes as it is", async () => {
    const outage = new Error("connect ECONNREFUSED");
    const keys = () => Promise.reject(outage);
    const outcome = verifyAccessToken({ keys, now: () => nowMs }, await signToken(parties), {
      issuer,
      audience,
    });
    await expect(outcome).rejects.toBe(outage);
  });
});

function withHeader(token: string, header: Record<string, unknown>): string {
  const [, payload = "", signature = ""] = token.split(".");
  return `${base64url.encode(JSON.stringify(header))}.${payload}.${signature}`;
}

async function hmacWithPublicKey(): Promise<string> {
  const secret = new TextEncoder().encode(JSON.stringify(publicJwkOf(parties.issuing)));
  const kid = parties.issuing.kid ?? "";
  return new SignJWT(claimsOf(parties)).setProtectedHeader({ alg: "HS256", typ: "at+jwt", kid }).sign(secret);
}

async function signedWithOwnJwk(): Promise<string> {
  const own = await makeKeyPair();
  return signToken(parties, {}, { jwk: own.publicJwk }, own.privateJwk);
}

it("takes the key from the issuer's set even when several keys are published", async () => {
  const other = await makeKeyPair();
  const keys = createLocalJWKSet({ keys: [other.publicJwk, publicJwkOf(parties.issuing)] });
  await verifyAccessToken({ keys, now: () => nowMs }, await signToken(parties), { issuer, audience });
});
