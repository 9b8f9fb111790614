import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  answerOf,
  makeParty,
  type Party,
  post,
  postRaw,
  type RunningIssuer,
  registered,
  startIssuer,
} from "./issuer-harness.ts";

const redirectUri = "https://app.example/callback";
let app: Party;
let other: Party;
let agent: Party;
let running: RunningIssuer;
beforeAll(async () => {
  [app, other, agent] = await Promise.all([makeParty(), makeParty(), makeParty()]);
  const clients = [
    registered(app.clientId, app.key, { redirectUris: [redirectUri] }),
    registered(other.clientId, other.key, { redirectUris: [redirectUri] }),
    registered(agent.clientId, agent.key),
  ];
  running = await startIssuer([], {
    findClient: async (clientId) => clients.find((client) => client.clientId === clientId),
  });
});
afterAll(() => running.stop());

const request = {
  response_type: "code",
  redirect_uri: redirectUri,
  code_challenge: createHash("sha256").update("verifier").digest("base64url"),
  code_challenge_method: "S256",
  state: "s",
};
const push = (party: Party, changes: Record<string, string | undefined> = {}) =>
  post(running.issuer, "/par", party, { parameters: { client_id: party.clientId, ...request, ...changes } });
const authorize = async (clientId: string, requestUri: string) => {
  const query = new URLSearchParams({ client_id: clientId, request_uri: requestUri });
  return answerOf(await fetch(`${running.issuer}/auth?${query}`, { redirect: "manual" }));
};

describe("[ISS-005] a pushed request", () => {
  test("is kept for a minute, by its client, and is used up by the authorization request that cites it", async () => {
    const { status, json, headers } = await push(app);
    expect([status, json]).toEqual([
      201,
      {
        expires_in: 60,
        request_uri: expect.stringMatching(/^urn:ietf:params:oauth:request_uri:[\w-]{21,}$/),
      },
    ]);
    expect(headers.get("cache-control")).toBe("no-store");
    const used = await authorize(app.clientId, json.request_uri);
    expect([used.status, used.json]).toMatchObject([
      400,
      { error: "unauthorized_client", iss: running.issuer },
    ]);
    const again = await authorize(app.clientId, json.request_uri);
    expect([again.status, again.json]).toMatchObject([
      400,
      { error: "invalid_request_uri", iss: running.issuer },
    ]);
  });

  test("is neither used nor used up by another client", async () => {
    const { json } = await push(app);
    expect((await authorize(other.clientId, json.request_uri)).json.error).toBe("invalid_request_uri");
    expect((await authorize(app.clientId, json.request_uri)).json.error).toBe("unauthorized_client");
  });

  test("may be cited in a form as well", async () => {
    const { json } = await push(app);
    const form = new URLSearchParams({ client_id: app.clientId, request_uri: json.request_uri }).toString();
    const answers = [
      await postRaw(`${running.issuer}/auth`, form),
      await postRaw(`${running.issuer}/auth`, form),
    ];
    expect(answers.map((answer) => answer.json.error)).toEqual([
      "unauthorized_client",
      "invalid_request_uri",
    ]);
  });

  test.each<[string, Record<string, string | undefined>]>([
    ["another redirect URI", { redirect_uri: "https://evil.example/callback" }],
    ["one that only begins as it should", { redirect_uri: `${redirectUri}/more` }],
    ["no PKCE", { code_challenge: undefined, code_challenge_method: undefined }],
    ["plain PKCE", { code_challenge_method: "plain" }],
    ["another response type", { response_type: "token" }],
    ["another client's id", { client_id: "spiffe://issuer.example/org/default/agent/agt_x" }],
    ["a request_uri", { request_uri: "https://evil.example/request" }],
    ["a request object", { request: "eyJhbGciOiJub25lIn0.e30." }],
  ])("is not kept with %s", async (_name, changes) => {
    const { status, json } = await push(app, changes);
    expect([status, json.request_uri]).toEqual([400, undefined]);
  });

  test("is not kept for a client without redirect URIs, nor for one that does not prove who it is", async () => {
    expect((await push(agent)).status).toBe(400);
    expect((await push({ ...app, key: other.key })).status).toBe(401);
    const anonymous = await postRaw(`${running.issuer}/par`, new URLSearchParams(request).toString());
    expect(anonymous.status).toBe(400);
  });

  test.each([
    "https://evil.example/request",
    "urn:ietf:params:oauth:request_uri:",
    `urn:ietf:params:oauth:request_uri:${"a".repeat(43)}`,
    "%00",
  ])("is none at %s", async (requestUri) => {
    expect((await authorize(app.clientId, requestUri)).json.error).toBe("invalid_request_uri");
  });
});

test("[ISS-005] while the database is gone, an authorization request is told to come back", async () => {
  const issuer = await startIssuer([], {
    usePushedRequest: () => Promise.reject(new Error("gone")),
    isUnavailable: () => true,
  });
  const cited = `urn:ietf:params:oauth:request_uri:${"a".repeat(43)}`;
  const query = new URLSearchParams({ client_id: app.clientId, request_uri: cited });
  const answer = await answerOf(await fetch(`${issuer.issuer}/auth?${query}`));
  expect([answer.status, answer.json.error, answer.headers.get("retry-after")]).toEqual([
    503,
    "temporarily_unavailable",
    "1",
  ]);
  await issuer.stop();
});
