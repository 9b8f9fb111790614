import { randomBytes } from "node:crypto";
import { createClient } from "@countersign/sdk/client/client";
import { RefusedError, UnreachableError } from "@countersign/sdk/client/client-error";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { signClientAssertion, signDpopProof } from "@countersign/sdk/client/sign";
import { calculateJwkThumbprint, createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";

const issuer = "https://issuer.example";
const clientId = "spiffe://issuer.example/org/default/agent/agt_1";
let pair: Awaited<ReturnType<typeof makeKeyPair>>;
let nowMs = Date.parse("2026-11-23T12:00:00Z");
const deps = { now: () => nowMs, randomBytes: (count: number) => new Uint8Array(randomBytes(count)) };
beforeAll(async () => {
  pair = await makeKeyPair();
});

/** A client, and the requests that it sent to a network which answers as told. */
function clientAnswered(answer: (url: string) => Response) {
  const sent: { url: string; init: RequestInit }[] = [];
  const fetch: typeof globalThis.fetch = async (url, init = {}) => {
    sent.push({ url: String(url), init });
    return answer(String(url));
  };
  return { sent, client: createClient({ ...deps, fetch }, { issuer, clientId, key: pair.privateJwk }) };
}

const tokenAnswer = () => Response.json({ access_token: "a.b.c", token_type: "DPoP", expires_in: 300 });
const anything = z.unknown();

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
    const get = (scope: string) => client.call({ method: "GET", path: "/v1/users", scope }, anything);
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
    await client.call({ method: "GET", path: "/v1/status", scope: "admin" }, anything);
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
    await client.call({ method: "GET", path: "/v1/status", scope: "admin" }, anything);
    expect(sent.map(({ init }) => init.redirect)).toEqual(["error", "error"]);
  });

  it("tells a problem document and an OAuth error by their codes", async () => {
    const problem = { type: "t", title: "No", status: 403, code: "not_authorized", detail: "policy says no" };
    const refusedByApi = clientAnswered((url) =>
      url.endsWith("/token") ? tokenAnswer() : Response.json(problem, { status: 403 }),
    );
    const call = refusedByApi.client.call({ method: "GET", path: "/v1/x", scope: "admin" }, anything);
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
