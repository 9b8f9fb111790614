import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { expect, test } from "vitest";
import {
  type Installation,
  makeInstallation,
  type Party,
  type ServerProcess,
  untilReady,
} from "../server.ts";
import { audience, type Cast, callApi, castPlayers, exchangeOf, scope, signedForm } from "./cast.ts";
import { expectRecorded, exportLog, verifierKeyOf } from "./evidence.ts";
import { acknowledgedBy } from "./load.ts";

/** What no store or ledger can take as text, each as JSON spells it. */
const badTexts = [String.raw`\u0000`, String.raw`a\u0000b`, String.raw`\ud800`, String.raw`\udc00\ud800`];
const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
const mebibyte = "x".repeat(1024 * 1024);
const lookingLikeIds = ["%00", "usr_%00", "%F0%9F%92%A9", "..%2F..", `${"a".repeat(5_000)}`, "%ED%A0%80"];

/** A request that hurts nobody but whoever sent it. */
interface Poison {
  readonly what: string;
  send(): Promise<Response>;
}

test("[FLT-008] a poisonous request among many fails its own caller only", async () => {
  const installation = await makeInstallation();
  const server = await installation.startServer();
  const vkey = await verifierKeyOf(installation);
  const cast = await castPlayers(installation, server);
  const agent = await cast.createAgent("courier");
  const delegation = await cast.grant(agent);
  const client = installation.clientAt(server, agent);
  const poisons = [
    ...(await poisonsOfApi(installation, server, cast)),
    ...poisonsOfOauth(installation, server, agent, delegation),
  ];

  const outcomes = await Promise.all(
    poisons.map(async ({ what, send }) => {
      const [{ status }, issued] = await Promise.all([
        send(),
        client.redeemDelegation({ delegation, resource: audience, scope }),
      ]);
      return { what, status, issued };
    }),
  );

  const notRefused = outcomes.filter(({ status }) => status < 400 || status >= 500);
  expect(notRefused.map(({ what, status }) => `${status} ${what}`)).toEqual([]);
  expectRecorded(
    await exportLog(installation, vkey),
    outcomes.map(({ issued }) => acknowledgedBy(issued)),
  );
  await untilReady([server]);
});

test("[FLT-008] of many who want one audience at once exactly one gets it, and the others are told of the conflict", async () => {
  const installation = await makeInstallation();
  const server = await installation.startServer();
  const cast = await castPlayers(installation, server);
  const operator = await apiCaller(installation, cast);
  const body = JSON.stringify({ audience: "https://wanted.example/", scope: ["a"], owner: cast.alice });
  const answers = await Promise.all(
    Array.from({ length: 12 }, () =>
      callApi(installation, server, operator, { method: "POST", path: "/v1/resources", body }),
    ),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(11).fill(409)].sort());
});

async function apiCaller({ issuer, operatorKey }: Installation, { operator }: Cast) {
  const target = { resource: `${issuer}/v1`, scope: "admin audit" };
  const { access_token: accessToken } = await operator.requestToken(target);
  return { ...(await operatorKey()), accessToken };
}

async function poisonsOfApi(
  installation: Installation,
  server: ServerProcess,
  cast: Cast,
): Promise<Poison[]> {
  const operator = await apiCaller(installation, cast);
  const { publicJwk } = await makeKeyPair();
  const jwk = JSON.stringify(publicJwk);
  const owner = cast.alice;
  const post = (path: string, body: string | Uint8Array, contentType = "application/json"): Poison => ({
    what: `POST ${path} ${contentType} ${String(body).slice(0, 80)}`,
    send: () => callApi(installation, server, operator, { method: "POST", path, body, contentType }),
  });
  const get = (path: string): Poison => ({
    what: `GET ${path}`,
    send: () => callApi(installation, server, operator, { method: "GET", path }),
  });
  return [
    ...badTexts.flatMap((bad) => [
      post("/v1/users", `{"name":"${bad}"}`),
      post("/v1/users", `{"name":"Eve","email":"${bad}@example.com"}`),
      post("/v1/users", `{"name":"Eve","${bad}":1}`),
      post("/v1/agents", `{"owner":"${owner}","name":"${bad}","jwk":${jwk}}`),
      post("/v1/agents", `{"owner":"${bad}","name":"x","jwk":${jwk}}`),
      post("/v1/resources", `{"audience":"https://${bad}.example/","scope":["a"]}`),
      post("/v1/resources", `{"audience":"https://x.example/${bad}","scope":["a"]}`),
      post("/v1/resources", `{"audience":"https://y.example/","scope":["${bad}"]}`),
      post(
        "/v1/delegations",
        `{"from_user":"${owner}","to_agent":"${bad}","resource":"${audience}","scope":["${scope}"]}`,
      ),
      post(
        "/v1/delegations",
        `{"parent":"${bad}","to_agent":"${bad}","resource":"${bad}","scope":["${bad}"]}`,
      ),
      post("/v1/operators", `{"name":"${bad}","jwk":${jwk}}`),
      post("/v1/keys/rotate", `{"purpose":"${bad}"}`),
    ]),
    ...lookingLikeIds.flatMap((id) => [
      get(`/v1/users/${id}`),
      get(`/v1/users?cursor=${id}`),
      get(`/v1/delegations?cursor=${id}`),
      get(`/v1/agents/${id}`),
      get(`/log/${id}/checkpoint`),
      get(`/log/default/entry/${id}`),
      get(`/log/default/tile/${id}`),
      get(`/log/default/proof/consistency?from=${id}&to=${id}`),
      post(`/v1/agents/${id}/suspend`, ""),
      post(`/v1/delegations/${id}/revoke`, ""),
      post(`/v1/tokens/${id}/revoke`, ""),
    ]),
    get("/log/default/entry/99999999999999999999"),
    get("/log/default/entry/9007199254740991"),
    get("/log/default/proof/inclusion/9007199254740991"),
    get("/log/default/tile/0/x999/x999/x999/x999/x999/999"),
    get("/v1/users?limit=1e9"),
    post("/v1/users", mebibyte),
    post("/v1/users", `{"name":"${mebibyte}"}`),
    post("/v1/users", deep),
    post("/v1/users", `{"name":${deep}}`),
    post("/v1/users", Buffer.from('{"name":"\xff\xfe"}', "latin1")),
    post("/v1/users", '{"name":'),
    post("/v1/users", '{"name":"Eve"}', "text/plain"),
    post("/v1/users", Buffer.from('{"name":"Eve"}', "utf16le"), "application/json; charset=utf-16le"),
    post("/v1/users", '{"__proto__":{"name":"Eve"},"name":"Eve","constructor":1}'),
    post("/v1/resources", `{"audience":"${audience}","scope":["a"]}`),
  ];
}

function poisonsOfOauth(
  installation: Installation,
  server: ServerProcess,
  agent: Party,
  delegation: string,
): Poison[] {
  const form = "application/x-www-form-urlencoded";
  const post = (path: string, body: string, headers: Record<string, string> = {}): Poison => ({
    what: `POST ${path} ${body.slice(0, 80)} ${Object.keys(headers)}`,
    send: () =>
      fetch(`${server.url}${path}`, { method: "POST", body, headers: { "content-type": form, ...headers } }),
  });
  const signed = (parameters: Record<string, string>): Poison => ({
    what: `POST /token ${JSON.stringify(parameters).slice(0, 300)}`,
    send: async () => {
      const body = await signedForm(installation, agent, parameters);
      return fetch(`${server.url}/token`, { method: "POST", body });
    },
  });
  const badForms = ["\0", "a\0b", "\ud800", "\uffff", "\u202e", "'; DROP TABLE log; --"];
  return [
    ...badForms.flatMap((bad) => [
      signed({ ...exchangeOf(delegation), scope: bad }),
      signed({ ...exchangeOf(delegation), resource: bad }),
      signed({ ...exchangeOf(delegation), subject_token: bad }),
      signed({ ...exchangeOf(delegation), subject_token_type: bad }),
      signed({ ...exchangeOf(delegation), actor_token: bad, actor_token_type: bad }),
      signed({ grant_type: bad }),
    ]),
    signed({ ...exchangeOf(delegation), scope: mebibyte }),
    signed({ ...exchangeOf(delegation), subject_token: "x".repeat(40_000) }),
    signed({ grant_type: "client_credentials", resource: `${installation.issuer}/v1`, scope: "admin" }),
    post("/token", mebibyte),
    post("/token", "%"),
    post("/token", "a=%00"),
    post("/token", deep, { "content-type": "application/json" }),
    post("/token", "client_id=%ED%A0%80&grant_type=client_credentials"),
    post("/introspect", mebibyte),
    post("/revoke", "token=%00"),
    post("/token", "grant_type=client_credentials", { dpop: "x".repeat(10_000) }),
    post("/token", "grant_type=client_credentials", { authorization: `Basic ${"x".repeat(10_000)}` }),
  ];
}
