import { randomBytes } from "node:crypto";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { strictProfile } from "../../src/domain/client.ts";
import {
  assertionOf,
  makeParty,
  type Party,
  post,
  postRaw,
  type RunningIssuer,
  startIssuer,
} from "./issuer-harness.ts";

let agent: Party;
let other: Party;
let stranger: Party;
let running: RunningIssuer;

beforeAll(async () => {
  [agent, other, stranger] = await Promise.all([makeParty(), makeParty(), makeParty()]);
  running = await startIssuer([agent, other]);
});
afterAll(() => running.stop());
beforeEach(() => {
  for (const list of Object.values(running.journal)) list.length = 0;
});

const nowSeconds = () => Math.floor(Date.now() / 1000);
const clientCredentials = { grant_type: "client_credentials", resource: "https://mail.example" };
const present = (client_assertion: string, more: Record<string, string | undefined> = {}, headers = {}) =>
  post(running.issuer, "/token", agent, {
    parameters: { ...clientCredentials, client_assertion, ...more },
    headers,
  });
const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const goodClaims = () => ({
  iss: agent.clientId,
  sub: agent.clientId,
  aud: running.issuer,
  jti: randomBytes(8).toString("hex"),
  iat: nowSeconds(),
  exp: nowSeconds() + 60,
});

describe("a client assertion", () => {
  test.each<[string, (now: number) => JWTPayload, Record<string, unknown>?]>([
    ["for the token endpoint", () => ({ aud: `${running.issuer}/token` })],
    ["for another issuer", () => ({ aud: "https://elsewhere.example" })],
    ["for the issuer and somebody else", () => ({ aud: [running.issuer, "https://elsewhere.example"] })],
    ["for the issuer in a list", () => ({ aud: [running.issuer] })],
    ["for the issuer with a slash", () => ({ aud: `${running.issuer}/` })],
    ["for nobody", () => ({ aud: undefined as unknown as string })],
    ["that has expired", (now) => ({ exp: now - 20 })],
    ["without expiry", () => ({ exp: undefined as unknown as number })],
    ["that would live for a day", (now) => ({ exp: now + 86_400 })],
    ["that would live for ever", () => ({ exp: 1e300 })],
    ["whose expiry is text", (now) => ({ exp: `${now + 60}` as unknown as number })],
    ["from the future", (now) => ({ iat: now + 60 })],
    ["whose time is text", (now) => ({ iat: `${now}` as unknown as number })],
    ["not valid yet", (now) => ({ nbf: now + 60 })],
    ["without jti", () => ({ jti: undefined as unknown as string })],
    ["with an endless jti", () => ({ jti: "x".repeat(300) })],
    ["with a jti that is a number", () => ({ jti: 7 as unknown as string })],
    ["issued by another client", () => ({ iss: other.clientId })],
    ["without issuer", () => ({ iss: undefined as unknown as string })],
    ["about another client", () => ({ sub: other.clientId })],
    ["about another client, and by it", () => ({ iss: other.clientId, sub: other.clientId })],
    ["about a client there is not", () => ({ iss: stranger.clientId, sub: stranger.clientId })],
    ["about no SPIFFE ID", () => ({ iss: "me", sub: "me" })],
    ["about a list", () => ({ sub: [agent.clientId] as unknown as string })],
    ["with the kid of no key", () => ({}), { kid: "none" }],
    ["with the kid of another client's key", () => ({}), { kid: "other" }],
    ["typed as an access token", () => ({}), { typ: "at+jwt" }],
    ["typed as a DPoP proof", () => ({}), { typ: "dpop+jwt" }],
  ])("%s authenticates nobody", async (_name, change, header = {}) => {
    const kid = header["kid"] === "other" ? { kid: other.key.kid } : {};
    const answer = await present(
      await assertionOf(running.issuer, agent, change(nowSeconds()), { ...header, ...kid }),
    );
    expect([answer.status, answer.json]).toEqual([
      401,
      { error: "invalid_client", error_description: "client authentication failed" },
    ]);
    expect(running.journal.failures).toMatchObject([{ reason: "invalid_client", endpoint: "/token" }]);
    expect(running.journal.issued).toEqual([]);
  });

  test("with alg none authenticates nobody", async () => {
    const claims = base64url(goodClaims());
    for (const signature of ["", "AA"]) {
      const { status } = await present(`${base64url({ alg: "none" })}.${claims}.${signature}`);
      expect(status).toBe(401);
    }
  });

  test("with an HMAC over the public key authenticates nobody", async () => {
    const secret = Buffer.from(JSON.stringify(agent.key));
    const assertion = await new SignJWT(goodClaims()).setProtectedHeader({ alg: "HS256" }).sign(secret);
    expect((await present(assertion)).status).toBe(401);
  });

  test("with a key that is not ES256 authenticates nobody, even a client that has it", async () => {
    const { publicKey, privateKey } = await generateKeyPair("EdDSA");
    const jwks = { keys: [await exportJWK(publicKey)] };
    const lenient = await startIssuer([], {
      findClient: async (clientId) => ({ clientId, jwks, profile: strictProfile }),
    });
    const claims = { ...goodClaims(), aud: lenient.issuer };
    const client_assertion = await new SignJWT(claims).setProtectedHeader({ alg: "EdDSA" }).sign(privateKey);
    const parameters = { ...clientCredentials, client_assertion };
    const { status, json } = await post(lenient.issuer, "/token", agent, { parameters });
    expect([status, json.error]).toEqual([401, "invalid_client"]);
    await lenient.stop();
  });

  test("with a key in its own header authenticates nobody", async () => {
    const { publicJwk, privateJwk } = await makeKeyPair();
    const header = { alg: "ES256", jwk: publicJwk, kid: agent.key.kid ?? "" };
    const assertion = await new SignJWT(goodClaims()).setProtectedHeader(header).sign(privateJwk);
    expect((await present(assertion)).status).toBe(401);
  });

  test("whose claims were changed after signing authenticates nobody", async () => {
    const [header, , signature] = (await assertionOf(running.issuer, agent)).split(".");
    expect((await present(`${header}.${base64url(goodClaims())}.${signature}`)).status).toBe(401);
  });

  test("is good without kid, and typed as a client assertion", async () => {
    const untyped = await assertionOf(running.issuer, agent, {}, { kid: undefined });
    const typed = await assertionOf(running.issuer, agent, {}, { typ: "client-authentication+jwt" });
    expect((await present(untyped)).status).toBe(200);
    expect((await present(typed)).status).toBe(200);
  });

  test("is good once: of ten concurrent uses one wins", async () => {
    const assertion = await assertionOf(running.issuer, agent);
    const answers = await Promise.all(Array.from({ length: 10 }, () => present(assertion)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(401)]);
    expect(running.journal.issued).toHaveLength(1);
    expect(running.journal.failures.map(({ reason }) => reason)).toEqual(
      Array(9).fill("client_assertion_replayed"),
    );
  });

  test("is spent even where it authenticated at another endpoint", async () => {
    const client_assertion = await assertionOf(running.issuer, agent);
    const parameters = { client_assertion, token: "none" };
    expect((await post(running.issuer, "/introspect", agent, { parameters })).status).toBe(200);
    expect((await present(client_assertion)).status).toBe(401);
  });

  test.each([
    ["a client_id beside it that is another's", { client_id: "other" }],
    [
      "another assertion type",
      { client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:saml2-bearer" },
    ],
    ["no assertion type", { client_assertion_type: undefined }],
  ])("is refused with %s", async (_name, more) => {
    const answer = await present(await assertionOf(running.issuer, agent), more);
    expect([answer.status, answer.json.error]).toEqual([400, "invalid_request"]);
  });

  test.each([["text"], ["a.b"], ["a.b.c"], [".."], [`${base64url([])}.${base64url([])}.`]])(
    "that is %j is refused",
    async (text) => {
      const { status } = await present(text);
      expect([400, 401]).toContain(status);
    },
  );

  test("is refused with another way of authentication beside it", async () => {
    const authorization = `Basic ${Buffer.from("me:secret").toString("base64")}`;
    const answer = await present(await assertionOf(running.issuer, agent), {}, { authorization });
    expect([answer.status, answer.json.error]).toEqual([400, "invalid_request"]);
  });

  test("nested beyond reason is refused without failing", async () => {
    const key = await crypto.subtle.importKey(
      "jwk",
      { ...agent.key },
      { name: "ECDSA", namedCurve: "P-256" },
      false,
      ["sign"],
    );
    const nest: readonly ((depth: number) => string)[] = [
      (depth) => `${"[".repeat(depth)}${"]".repeat(depth)}`,
      (depth) => `${'{"":'.repeat(depth)}1${"}".repeat(depth)}`,
    ];
    for (const depth of [100, 300, 450, 1000, 3000, 10_000]) {
      for (const nested of nest) {
        const claims = JSON.stringify({ ...goodClaims(), x: 1 }).replace('"x":1', `"x":${nested(depth)}`);
        const input = `${base64url({ alg: "ES256" })}.${Buffer.from(claims).toString("base64url")}`;
        const signature = await crypto.subtle.sign(
          { name: "ECDSA", hash: "SHA-256" },
          key,
          Buffer.from(input),
        );
        const { status } = await present(`${input}.${Buffer.from(signature).toString("base64url")}`);
        expect([200, 400, 413]).toContain(status);
      }
    }
  });
});

test("no other way of client authentication is accepted, nor does it tell whether a client exists", async () => {
  const basic = (id: string) => `Basic ${Buffer.from(`${encodeURIComponent(id)}:secret`).toString("base64")}`;
  const body = "grant_type=client_credentials";
  const ask = (id: string, headers: Record<string, string>, more = "") =>
    postRaw(`${running.issuer}/token`, `${body}${more}`, { ...headers, origin: "https://evil.example" }).then(
      ({ status, text, headers }) => ({
        status,
        text: text.replaceAll(id, "ID"),
        headers: [...headers].filter(([name]) => name !== "date"),
      }),
    );
  for (const way of [
    (id: string) => ask(id, { authorization: basic(id) }),
    (id: string) => ask(id, {}, `&client_id=${encodeURIComponent(id)}`),
    (id: string) => ask(id, {}, `&client_id=${encodeURIComponent(id)}&client_secret=s`),
  ]) {
    const [known, unknown] = [await way(agent.clientId), await way(stranger.clientId)];
    expect(known.status).toBe(401);
    expect(known).toEqual(unknown);
  }
  const { status } = await postRaw(`${running.issuer}/token`, body);
  expect(status).toBe(400);
});

test("a failed authentication is reported with the client only when there is such a client", async () => {
  await present(await assertionOf(running.issuer, { ...agent, key: other.key }, {}, { kid: agent.key.kid }));
  await present(await assertionOf(running.issuer, stranger));
  expect(running.journal.failures).toMatchObject([
    { clientId: agent.clientId, reason: "invalid_client", endpoint: "/token" },
    { reason: "invalid_client", endpoint: "/token", detail: "client not found" },
  ]);
  expect(running.journal.failures[1]).not.toHaveProperty("clientId");
});
