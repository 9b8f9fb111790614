import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { signDpopProof } from "@countersign/sdk/client/sign";
import {
  type AuthenticateRequestDeps,
  authenticateRequest,
  type PresentedRequest,
} from "@countersign/sdk/verify/authenticate-request";
import { createProofReplayMemory } from "@countersign/sdk/verify/proof-replay";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { base64url, SignJWT } from "jose";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  audience,
  issuer,
  makeParties,
  nowMs,
  nowSeconds,
  type Parties,
  signDeps,
  signToken,
} from "./tokens.ts";

const url = `${audience}/inbox`;
let parties: Parties;
let accessToken: string;
let replays: ReturnType<typeof createProofReplayMemory>;
beforeAll(async () => {
  parties = await makeParties();
  accessToken = await signToken(parties);
});
beforeEach(() => {
  replays = createProofReplayMemory({ now: () => nowMs });
});

const authenticate = (request: Partial<PresentedRequest>, more: Partial<AuthenticateRequestDeps> = {}) =>
  authenticateRequest(
    { keys: parties.keys, replays, now: () => nowMs, ...more },
    { method: "GET", url, authorization: `DPoP ${accessToken}`, dpop: undefined, ...request },
    { issuer, audience },
  );

async function codeOf(
  request: Partial<PresentedRequest>,
  more?: Partial<AuthenticateRequestDeps>,
): Promise<string> {
  const error = await authenticate(request, more).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error instanceof VerificationError ? error.code : `no VerificationError: ${String(error)}`;
}

const proofFor = (request: { method?: string; url?: string; accessToken?: string } = {}) =>
  signDpopProof(signDeps, { key: parties.presenting, method: "GET", url, accessToken, ...request });

/** A proof with claims and header laid over the good ones. */
async function proofWith(
  changes: Record<string, unknown>,
  header: Record<string, unknown> = {},
): Promise<string> {
  const { kty, crv, x, y } = parties.presenting;
  const claims = {
    jti: "j",
    htm: "GET",
    htu: url,
    iat: nowSeconds,
    ath: await athOf(accessToken),
    ...changes,
  };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk: { kty, crv, x, y }, ...header })
    .sign(parties.presenting);
}

async function athOf(token: string): Promise<string> {
  return base64url.encode(
    new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token))),
  );
}

describe("a request with a token and its proof", () => {
  it("is accepted once", async () => {
    const dpop = await proofFor();
    expect((await authenticate({ dpop })).claims.jti).toBe("tok_1");
    expect(await codeOf({ dpop })).toBe("proof_replayed");
  });

  it("is accepted whatever its query: htu leaves it out", async () => {
    await authenticate({ url: `${url}?folder=sent`, dpop: await proofFor() });
  });

  it("accepts the spelling of the scheme that RFC 9110 allows", async () => {
    await authenticate({ authorization: `dpop ${accessToken}`, dpop: await proofFor() });
  });
});

describe("refuses", () => {
  const attacks: Record<string, [string, () => Promise<Partial<PresentedRequest>>]> = {
    "no credentials": ["proof_missing", async () => ({ authorization: undefined })],
    "a stolen token without a proof": ["proof_missing", async () => ({})],
    "a bound token passed off as a bearer token": [
      "proof_missing",
      async () => ({ authorization: `Bearer ${accessToken}`, dpop: await proofFor() }),
    ],
    "a token that is bound to no key": ["confirmation_missing", async () => boundTo(undefined)],
    "a token that is bound to a certificate": [
      "confirmation_mismatch",
      async () => boundTo({ "x5t#S256": "c" }),
    ],
    "a proof by another key": [
      "confirmation_mismatch",
      async () => ({
        dpop: await signDpopProof(signDeps, {
          key: (await makeKeyPair()).privateJwk,
          method: "GET",
          url,
          accessToken,
        }),
      }),
    ],
    "a proof for another method": [
      "proof_mismatch",
      async () => ({ dpop: await proofFor({ method: "POST" }) }),
    ],
    "a proof for another path": [
      "proof_mismatch",
      async () => ({ dpop: await proofFor({ url: `${audience}/outbox` }) }),
    ],
    "a proof for another host": [
      "proof_mismatch",
      async () => ({ dpop: await proofFor({ url: "https://evil.example/inbox" }) }),
    ],
    "a proof for another token": [
      "proof_mismatch",
      async () => ({ dpop: await proofFor({ accessToken: "other" }) }),
    ],
    "a proof without ath, made for the token endpoint": [
      "proof_malformed",
      async () => ({ dpop: await proofWith({ ath: undefined }) }),
    ],
    "a proof of two minutes ago": [
      "proof_stale",
      async () => ({ dpop: await proofWith({ iat: nowSeconds - 120 }) }),
    ],
    "a proof from the future": [
      "proof_stale",
      async () => ({ dpop: await proofWith({ iat: nowSeconds + 60 }) }),
    ],
    "a proof without jti": ["proof_malformed", async () => ({ dpop: await proofWith({ jti: undefined }) })],
    "a proof with a jti of a megabyte": [
      "proof_malformed",
      async () => ({ dpop: await proofWith({ jti: "j".repeat(1 << 20) }) }),
    ],
    "a proof of another type": [
      "proof_malformed",
      async () => ({ dpop: await proofWith({}, { typ: "JWT" }) }),
    ],
    "a proof that carries the private key": [
      "proof_malformed",
      async () => ({ dpop: await proofWith({}, { jwk: parties.presenting }) }),
    ],
    "a proof without a key": [
      "proof_malformed",
      async () => ({ dpop: await proofWith({}, { jwk: undefined }) }),
    ],
    "the access token as its own proof": ["proof_malformed", async () => ({ dpop: accessToken })],
    "two proofs in one header": [
      "proof_malformed",
      async () => ({ dpop: `${await proofFor()}, ${await proofFor()}` }),
    ],
  };
  for (const [name, [code, attack]] of Object.entries(attacks)) {
    it(name, async () => expect(await codeOf(await attack())).toBe(code));
  }
});

async function boundTo(cnf: unknown): Promise<Partial<PresentedRequest>> {
  const token = await signToken(parties, { cnf });
  return { authorization: `DPoP ${token}`, dpop: await proofFor({ accessToken: token }) };
}

describe("[ISS-004] a token that is bound to a certificate", () => {
  const bound = async (changes: Partial<PresentedRequest> = {}) => {
    const token = await signToken(parties, { cnf: { "x5t#S256": "c" } });
    return { authorization: `Bearer ${token}`, certificate: "c", ...changes };
  };

  it("is accepted with that certificate, under the Bearer scheme", async () => {
    expect((await authenticate(await bound())).confirmation).toEqual({ "x5t#S256": "c" });
  });

  it("is refused with another, with none, and with a proof", async () => {
    expect(await codeOf(await bound({ certificate: "d" }))).toBe("confirmation_mismatch");
    expect(await codeOf(await bound({ certificate: undefined }))).toBe("proof_missing");
    const token = await signToken(parties, { cnf: { "x5t#S256": "c" } });
    const byProof = {
      authorization: `DPoP ${token}`,
      dpop: await proofFor({ accessToken: token }),
      certificate: "c",
    };
    expect(await codeOf(byProof)).toBe("confirmation_mismatch");
  });

  it("is what a certificate is for: it stands in for no proof of a token bound to a key, nor of one bound to none", async () => {
    expect(await codeOf({ authorization: `Bearer ${accessToken}`, certificate: "c" })).toBe(
      "confirmation_mismatch",
    );
    const unbound = await signToken(parties, { cnf: undefined });
    expect(await codeOf({ authorization: `Bearer ${unbound}`, certificate: "c" })).toBe(
      "confirmation_missing",
    );
  });
});

describe("[ISS-001] a nonce in a proof", () => {
  const nonces = { accepts: (nonce: string) => nonce === "good" };
  const withNonce = async (nonce?: string) => ({ dpop: await proofWith({ jti: nextId(), nonce }) });

  it("is one of the server's, where it hands out any", async () => {
    await authenticate(await withNonce("good"), { nonces });
    expect(await codeOf(await withNonce("forged"), { nonces })).toBe("proof_nonce_expected");
    await authenticate(await withNonce("anything"));
  });

  it("is there, where the token's client needs one", async () => {
    const needsNonce = () => true;
    expect(await codeOf(await withNonce(), { nonces, needsNonce })).toBe("proof_nonce_expected");
    await authenticate(await withNonce("good"), { nonces, needsNonce });
    await authenticate(await withNonce(), { nonces });
  });

  it("leaves a proof that is refused for it unused", async () => {
    const proof = await withNonce("later");
    expect(await codeOf(proof, { nonces })).toBe("proof_nonce_expected");
    await authenticate(proof, { nonces: { accepts: () => true } });
  });
});

let ids = 0;
const nextId = () => `j${++ids}`;

describe("the replay memory", () => {
  it("forgets a proof only once it would be refused as stale", () => {
    let now = nowMs;
    const memory = createProofReplayMemory({ now: () => now });
    expect(memory.consume("k", nowMs + 1000)).toBe(true);
    now += 999;
    expect(memory.consume("k", nowMs + 1000)).toBe(false);
    now += 1;
    expect(memory.consume("k", nowMs + 5000)).toBe(true);
  });

  it("refuses new proofs rather than forget live ones when it is full", () => {
    const memory = createProofReplayMemory({ now: () => nowMs }, 2);
    expect([
      memory.consume("a", nowMs + 1),
      memory.consume("b", nowMs + 1),
      memory.consume("c", nowMs + 1),
    ]).toEqual([true, true, false]);
    expect(memory.consume("a", nowMs + 1)).toBe(false);
  });
});
