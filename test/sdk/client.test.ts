import { randomBytes } from "node:crypto";
import { createClient } from "@countersign/sdk/client/client";
import { RefusedError, UnreachableError } from "@countersign/sdk/client/client-error";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { signClientAssertion, signDpopProof } from "@countersign/sdk/client/sign";
import { createDelegation } from "@countersign/sdk/contract/delegations";
import { createUser, getUser, listUsers } from "@countersign/sdk/contract/users";
import { calculateJwkThumbprint, createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import { beforeAll, describe, expect, it } from "vitest";

const issuer = "https://issuer.example";
const clientId = "spiffe://issuer.example/org/default/agent/agt_1";
let pair: Awaited<ReturnType<typeof makeKeyPair>>;
let nowMs = Date.parse("2026-11-23T12:00:00Z");
const deps = { now: () => nowMs, randomBytes: (count: number) => new Uint8Array(randomBytes(count)) };
beforeAll(async () => {
  pair = await makeKeyPair();
});

/** A client, and the requests that it sent to a network which answers as told. */
function clientAnswered(answer: (url: string, init: RequestInit) => Response) {
  const sent: { url: string; init: RequestInit }[] = [];
  const fetch: typeof globalThis.fetch = async (url, init = {}) => {
    sent.push({ url: String(url), init });
    return answer(String(url), init);
  };
  return { sent, client: createClient({ ...deps, fetch }, { issuer, clientId, key: pair.privateJwk }) };
}

const tokenAnswer = () => Response.json({ access_token: "a.b.c", token_type: "DPoP", expires_in: 300 });

it("a key pair bears its thumbprint as kid, and its public half has no private part", async () => {
  expect(pair.privateJwk.kid).toBe(await calculateJwkThumbprint(pair.publicJwk));
  expect(pair.publicJwk).not.toHaveProperty("d");
});

describe("what is signed", () => {
  it("an assertion names the issuer as its only audience and lives a minute", async () => {
    const assertion = await signClientAssertion(deps, { clientId, key: pair.privateJwk, issuer });
    const keys = createLocalJWKSet({ keys: [pair.publicJwk] });
    const { payload } = await jwtVerify(assertion, keys, { currentDate: new Date(nowMs), audience: issuer });
    expect(payload).toMatchObject({
      iss: clientId,
      sub: clientId,
      aud: issuer,
      exp: (payload.iat ?? 0) + 60,
    });
  });

  it("a proof carries the public key only, and no query", async () => {
    const proof = await signDpopProof(deps, {
      key: pair.privateJwk,
      method: "GET",
      url: `${issuer}/v1/users?limit=1#x`,
    });
    expect(decodeJwt(proof)).toMatchObject({ htm: "GET", htu: `${issuer}/v1/users` });
    expect(Object.keys(decodeProtectedHeader(proof).jwk ?? {}).sort()).toEqual(["crv", "kty", "x", "y"]);
  });

  it("no two assertions or proofs share a jti", async () => {
    const signed = await Promise.all(
      [1, 2].map(() => signClientAssertion(deps, { clientId, key: pair.privateJwk, issuer })),
    );
    expect(new Set(signed.map((one) => decodeJwt(one).jti)).size).toBe(2);
  });
});

describe("a call", () => {
  it("gets one token per scope, keeps it until shortly before its end, and proves each request anew", async () => {
    const { sent, client } = clientAnswered((url) =>
      url.endsWith("/token") ? tokenAnswer() : Response.json({}),
    );
    const get = (scope: string) => client.fetchRaw({ method: "GET", path: "/v1/users", scope });
    await get("admin");
    await get("admin");
    await get("audit");
    expect(sent.map(({ url }) => url.replace(issuer, ""))).toEqual([
      "/token",
      "/v1/users",
      "/v1/users",
      "/token",
      "/v1/users",
    ]);
    const proofs = sent.map(({ init }) => new Headers(init.headers).get("dpop"));
    expect(new Set(proofs).size).toBe(5);
    nowMs += 291_000;
    await get("admin");
    expect(sent.at(-2)?.url).toBe(`${issuer}/token`);
  });

  it("asks for the issuer's own API, with an assertion instead of a secret", async () => {
    const { sent, client } = clientAnswered((url) =>
      url.endsWith("/token") ? tokenAnswer() : Response.json({}),
    );
    await client.fetchRaw({ method: "GET", path: "/v1/status", scope: "admin" });
    const form = new URLSearchParams(String(sent[0]?.init.body));
    expect(Object.fromEntries(form)).toMatchObject({
      grant_type: "client_credentials",
      resource: `${issuer}/v1`,
      scope: "admin",
      client_id: clientId,
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    });
  });

  it("never follows a redirect with its token", async () => {
    const { sent, client } = clientAnswered((url) =>
      url.endsWith("/token") ? tokenAnswer() : Response.json({}),
    );
    await client.fetchRaw({ method: "GET", path: "/v1/status", scope: "admin" });
    expect(sent.map(({ init }) => init.redirect)).toEqual(["error", "error"]);
  });

  it("tells a problem document and an OAuth error by their codes", async () => {
    const problem = { type: "t", title: "No", status: 403, code: "not_authorized", detail: "policy says no" };
    const refusedByApi = clientAnswered((url) =>
      url.endsWith("/token") ? tokenAnswer() : Response.json(problem, { status: 403 }),
    );
    const call = refusedByApi.client.perform(listUsers, {});
    await expect(call).rejects.toMatchObject({
      status: 403,
      code: "not_authorized",
      message: "policy says no",
    });

    const refusedByIssuer = clientAnswered(() => Response.json({ error: "invalid_scope" }, { status: 400 }));
    const redeem = refusedByIssuer.client.redeemDelegation({
      delegation: "dlg_1",
      resource: "https://a.example",
    });
    await expect(redeem).rejects.toMatchObject({ status: 400, code: "invalid_scope" });
    await expect(redeem).rejects.toBeInstanceOf(RefusedError);
  });

  it("says so when what answers is no Countersign, and when nothing answers", async () => {
    const proxy = clientAnswered(() => new Response("<html>Bad gateway</html>", { status: 502 }));
    await expect(proxy.client.requestToken({ resource: "r", scope: "s" })).rejects.toMatchObject({
      code: "unexpected_answer",
    });
    const gone = clientAnswered(() => {
      throw new TypeError("fetch failed");
    });
    await expect(gone.client.requestToken({ resource: "r", scope: "s" })).rejects.toBeInstanceOf(
      UnreachableError,
    );
  });
});

describe("an operation", () => {
  const alice = {
    id: "usr_01arz3ndektsv4rrffq69g5fav",
    organization: "default",
    name: "Alice",
    status: "active",
    created_at: "2026-11-23T12:00:00Z",
  };
  const answering = (answer: object) =>
    clientAnswered((url) => (url.endsWith("/token") ? tokenAnswer() : Response.json(answer)));
  const scopeOf = (init: RequestInit | undefined) => new URLSearchParams(String(init?.body)).get("scope");

  it("goes to its path by its method, each part in its place, and answers what the contract says", async () => {
    const { sent, client } = answering({ items: [alice], next: "usr_1" });
    const page = await client.perform(listUsers, { query: { limit: 1, cursor: undefined } });
    expect(page).toEqual({ items: [alice], next: "usr_1" });
    expect(sent[1]).toMatchObject({ url: `${issuer}/v1/users?limit=1`, init: { method: "GET" } });

    const one = answering(alice);
    expect(await one.client.perform(getUser, { params: { id: "usr/?#" } })).toEqual(alice);
    expect(one.sent[1]?.url).toBe(`${issuer}/v1/users/usr%2F%3F%23`);
    expect(one.sent[1]?.init).not.toHaveProperty("body");
  });

  it("asks for the first of its scopes unless told", async () => {
    const refused = () =>
      clientAnswered((url) => (url.endsWith("/token") ? tokenAnswer() : new Response("", { status: 403 })));
    const body = { parent: "dlg_1", to_agent: "agt_1", resource: "https://a.example", scope: ["a"] };
    const [untold, told] = [refused(), refused()];
    await expect(untold.client.perform(createDelegation, { body })).rejects.toThrow(RefusedError);
    await expect(told.client.perform(createDelegation, { body, scope: "delegate" })).rejects.toThrow(
      RefusedError,
    );
    expect([scopeOf(untold.sent[0]?.init), scopeOf(told.sent[0]?.init)]).toEqual(["admin", "delegate"]);
    expect(JSON.parse(String(told.sent[1]?.init.body))).toEqual(body);
  });

  it("[API-002] that changes something bears one key for both of its tries, and no third is made", async () => {
    const tries: (string | null)[] = [];
    const { client } = clientAnswered((url, { headers }) => {
      if (url.endsWith("/token")) return tokenAnswer();
      tries.push(new Headers(headers).get("idempotency-key"));
      if (tries.length === 2) return Response.json({ ...alice, ledger: { log: "default", index: 1 } });
      throw new TypeError("fetch failed");
    });
    expect(await client.perform(createUser, { body: { name: "Alice" } })).toMatchObject(alice);
    await expect(client.perform(createUser, { body: { name: "Bob" } })).rejects.toThrow(UnreachableError);
    await expect(client.perform(listUsers, {})).rejects.toThrow(UnreachableError);
    const [one, two, three, four, ...rest] = tries;
    expect([two, four]).toEqual([one, three]);
    expect(one).toMatch(/^[\w-]{22}$/);
    expect(three).not.toBe(one);
    expect(rest).toEqual([null]);
  });

  it("takes no answer that is not of the contract", async () => {
    const { client } = answering({ ...alice, id: "agt_01arz3ndektsv4rrffq69g5fav" });
    await expect(client.perform(getUser, { params: { id: alice.id } })).rejects.toThrow("usr_");
  });

  it("is given what it takes and nothing else: the compiler says so", () => {
    const { client } = answering({});
    const wrong = [
      // @ts-expect-error it takes an id
      () => client.perform(getUser, {}),
      // @ts-expect-error it takes no body
      () => client.perform(listUsers, { body: {} }),
      // @ts-expect-error it takes who grants
      () => client.perform(createDelegation, { body: { to_agent: "agt_1", resource: "r", scope: ["a"] } }),
    ];
    expect(wrong).toHaveLength(3);
  });
});
