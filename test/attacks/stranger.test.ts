import { randomBytes } from "node:crypto";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { signClientAssertion, signDpopProof } from "@countersign/sdk/client/sign";
import { base64url, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { audience, type Cast, castPlayers, exchangeOf, signedForm } from "../chaos/cast.ts";
import {
  depsFor,
  type Installation,
  makeInstallation,
  type Party,
  type ServerProcess,
  until,
} from "../server.ts";

// What somebody on the network can try who holds other people's messages, but none of their keys.
const removals: (() => Promise<void>)[] = [];
let installation: Installation;
let server: ServerProcess;
let cast: Cast;
let agent: Party;
let delegation: string;
let operator: Omit<Party, "id">;
beforeAll(async () => {
  installation = await makeInstallation({ COUNTERSIGN_LOG_LEVEL: "trace" }, (remove) =>
    removals.push(remove),
  );
  server = await installation.startServer();
  cast = await castPlayers(installation, server);
  agent = await cast.createAgent("courier");
  delegation = await cast.grant(agent);
  operator = await installation.operatorKey();
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const clientCredentials = { grant_type: "client_credentials" };
const deps = () => depsFor(installation.issuer, server);
const adminToken = async () => {
  const target = { resource: `${installation.issuer}/v1`, scope: "admin" };
  return (await installation.clientAt(server, operator).requestToken(target)).access_token;
};
const mailToken = async () => {
  const client = installation.clientAt(server, agent);
  return (await client.redeemDelegation({ delegation, resource: audience })).access_token;
};

async function postForm(path: string, form: URLSearchParams, headers: Record<string, string> = {}) {
  const response = await fetch(`${server.url}${path}`, { method: "POST", body: form, headers });
  return { status: response.status, text: await response.text() };
}

/** Presents an assertion that nobody's key signed as the agent's. */
function authenticateWith(client_assertion: string, clientId = agent.clientId) {
  const type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
  const client = { client_id: clientId, client_assertion_type: type, client_assertion };
  return postForm("/token", new URLSearchParams({ ...clientCredentials, ...client }));
}

async function getUsers(headers: Record<string, string>, path = "/v1/users") {
  const response = await fetch(`${server.url}${path}`, { headers });
  const { code } = z.looseObject({ code: z.string().optional() }).parse(await response.json());
  return { status: response.status, code };
}
const proofFor = (key: Party["key"], accessToken: string, path = "/v1/users", method = "GET") =>
  signDpopProof(deps(), { key, accessToken, method, url: `${installation.issuer}${path}` });

test("[VER-001] a token for one resource is worth nothing at another", async () => {
  const token = await mailToken();
  const dpop = await proofFor(agent.key, token);
  expect(await getUsers({ authorization: `DPoP ${token}`, dpop })).toEqual({
    status: 401,
    code: "invalid_token",
  });
});

test("[VER-001] what another key, algorithm or type signed is nobody's token and nobody's assertion", async () => {
  const { issuer } = installation;
  const { privateJwk } = await makeKeyPair();
  const good = await adminToken();
  const [header = "", payload = "", signature = ""] = good.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
  const { kid } = JSON.parse(Buffer.from(header, "base64url").toString());
  const secret = Buffer.from(await (await fetch(`${server.url}/jwks`)).text());
  const forged = [
    await new SignJWT(claims).setProtectedHeader({ alg: "ES256", typ: "at+jwt", kid }).sign(privateJwk),
    await new SignJWT(claims).setProtectedHeader({ alg: "HS256", typ: "at+jwt", kid }).sign(secret),
    `${base64url.encode(JSON.stringify({ alg: "none", typ: "at+jwt" }))}.${payload}.`,
    `${header}.${base64url.encode(JSON.stringify({ ...claims, scope: "admin audit" }))}.${signature}`,
    await signClientAssertion(deps(), { ...operator, issuer }),
  ];
  for (const token of forged) {
    const dpop = await proofFor(operator.key, token);
    expect((await getUsers({ authorization: `DPoP ${token}`, dpop })).status).toBe(401);
  }
  const assertions = [
    good,
    await proofFor(agent.key, good),
    await signClientAssertion(deps(), { clientId: agent.clientId, key: privateJwk, issuer }),
    await signClientAssertion(deps(), { ...agent, issuer: "https://elsewhere.example" }),
  ];
  for (const assertion of assertions) {
    expect([400, 401]).toContain((await authenticateWith(assertion)).status);
  }
});

test("[VER-002] a stolen token is worth nothing without a fresh proof by its key, for this very request", async () => {
  const token = await adminToken();
  const { privateJwk: thief } = await makeKeyPair();
  const authorization = `DPoP ${token}`;
  const captured = await proofFor(operator.key, token);
  expect((await getUsers({ authorization, dpop: captured })).status).toBe(200);
  const attempts = [
    { authorization },
    { authorization: `Bearer ${token}` },
    { authorization: `Bearer ${token}`, dpop: await proofFor(operator.key, token) },
    { authorization, dpop: captured },
    { authorization, dpop: await proofFor(thief, token) },
    { authorization, dpop: await proofFor(operator.key, token, "/v1/agents") },
    { authorization, dpop: await proofFor(operator.key, token, "/v1/users", "POST") },
    { authorization, dpop: await proofFor(operator.key, await adminToken()) },
  ];
  for (const headers of attempts) expect((await getUsers(headers)).status).toBe(401);
  expect((await getUsers({ authorization, dpop: await proofFor(operator.key, token) })).status).toBe(200);
});

test("[RPL-001] a captured request to the token endpoint is worth nothing a second time", async () => {
  const form = await signedForm(installation, agent, exchangeOf(delegation));
  const url = `${installation.issuer}/token`;
  const dpop = await signDpopProof(deps(), { key: agent.key, method: "POST", url });
  expect((await postForm("/token", form, { dpop })).status).toBe(200);
  expect((await postForm("/token", form, { dpop })).status).toBe(401);
  const fresh = await signedForm(installation, agent, exchangeOf(delegation));
  expect((await postForm("/token", fresh, { dpop })).status).toBe(400);
});

describe("[VER-003] who probes is told the same", () => {
  test("of a client that is there and of one that is not", async () => {
    const { privateJwk } = await makeKeyPair();
    const unknown = agent.clientId.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
    for (const path of ["/token", "/introspect", "/revoke"]) {
      const [known, none] = await Promise.all(
        [agent.clientId, unknown].map(async (clientId) => {
          const parameters = { ...clientCredentials, token: "x" };
          return postForm(path, await signedForm(installation, { clientId, key: privateJwk }, parameters));
        }),
      );
      expect(known?.status).toBe(401);
      expect(none).toEqual(known);
    }
  });

  test("of a token that is there and of one that is not", async () => {
    const stranger = await cast.createAgent("stranger");
    const ask = async (token: string) =>
      postForm("/introspect", await signedForm(installation, stranger, { token }));
    const tokens = [await mailToken(), "eyJhbGciOiJFUzI1NiJ9.e30.AA", "nonsense"];
    const introspected = await Promise.all(tokens.map(ask));
    expect(new Set(introspected.map(({ text }) => text))).toEqual(new Set(['{"active":false}']));
  });
});

test("[LED-003] however often strangers fail, the log tells of it in a few entries", async () => {
  const size = async () => {
    const published = 'countersign_ledger_unpublished_entries{log="system"} 0\n';
    const metrics = async () => (await fetch(`${server.url}/metrics`)).text();
    await until("the checkpoint", async () => (await metrics()).includes(published));
    const note = await (await fetch(`${server.url}/log/system/checkpoint`)).text();
    return Number(note.split("\n")[1]);
  };
  const before = await size();
  const attempts = Array.from({ length: 300 }, () => authenticateWith(randomBytes(9).toString("hex")));
  expect(new Set((await Promise.all(attempts)).map(({ status }) => status < 500))).toEqual(new Set([true]));
  const { privateJwk } = await makeKeyPair();
  for (let i = 0; i < 100; i++) {
    const forged = { clientId: agent.clientId, key: privateJwk, issuer: installation.issuer };
    expect((await authenticateWith(await signClientAssertion(deps(), forged))).status).toBe(401);
  }
  expect((await size()) - before).toBeLessThan(20);
});

test("[LOG-002] no log line at any level holds a token, an assertion, a proof or a private key", async () => {
  const token = await adminToken();
  const form = await signedForm(installation, agent, { ...exchangeOf(delegation), subject_token: token });
  await postForm("/token", form);
  // Where nobody should put a token, but somebody does.
  const authorization = `DPoP ${token}`;
  for (const path of [`/v1/tokens/${token}/revoke`, `/nowhere/${token}`, `/v1/users?access_token=${token}`]) {
    const body = JSON.stringify({ token, jwk: agent.key });
    const dpop = await proofFor(operator.key, token, path, "POST");
    const headers = { authorization, dpop, "content-type": "application/json", "x-request-id": token };
    await fetch(`${server.url}${path}`, { method: "POST", body, headers });
  }
  await authenticateWith(token, token);
  await authenticateWith(JSON.stringify(agent.key));

  const { err } = await server.stop();
  for (const line of ["token issued", "authentication failed", "request refused", "answered"]) {
    expect(err).toContain(`"msg":"${line}"`);
  }
  expect(err).not.toContain("eyJ");
  expect(err).not.toMatch(/"d\\?"\s*:/);
  const secrets = [
    agent.key.d,
    operator.key.d,
    token.split(".")[2],
    form.get("client_assertion")?.split(".")[2],
  ];
  for (const secret of secrets) expect(err).not.toContain(secret);
  for (const line of err
    .trim()
    .split("\n")
    .filter((text) => text.includes("authentication failed"))) {
    expect(JSON.parse(line)).toMatchObject({ request_id: expect.stringMatching(/^[A-Za-z0-9._-]{8,64}$/) });
  }
});
