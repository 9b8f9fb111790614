import { authorizeAction, signActionReport } from "@countersign/sdk/client/actions";
import type { Client } from "@countersign/sdk/client/client";
import { RefusedError } from "@countersign/sdk/client/client-error";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { signDpopProof } from "@countersign/sdk/client/sign";
import type { ReportedDeed } from "@countersign/sdk/contract/action-report";
import {
  getAccountability,
  getAction,
  listActionReports,
  listActions,
  reportAction,
} from "@countersign/sdk/contract/actions";
import { setClient } from "@countersign/sdk/contract/clients";
import { revokeToken } from "@countersign/sdk/contract/tokens";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { audience, type Cast, callApi, castPlayers, exchangeOf, scope, signedForm } from "../chaos/cast.ts";
import { depsFor, type Installation, makeInstallation, type Party, type ServerProcess } from "../server.ts";

const removals: (() => Promise<void>)[] = [];
let installation: Installation;
let server: ServerProcess;
let cast: Cast;
let agent: Party;
let delegation: string;
let agentClient: Client;
beforeAll(async () => {
  installation = await makeInstallation({}, (remove) => removals.push(remove));
  server = await installation.startServer();
  cast = await castPlayers(installation, server);
  agent = await cast.createAgent("courier");
  delegation = await cast.grant(agent);
  agentClient = installation.clientAt(server, agent);
});
afterAll(() => Promise.all(removals.map((remove) => remove())));

const deps = () => depsFor(installation.issuer, server);
const identityOf = ({ clientId, key }: Party) => ({ issuer: installation.issuer, clientId, key });
const mailToken = async () =>
  (await agentClient.redeemDelegation({ delegation, resource: audience })).access_token;
const reading = { action: "read", scope: [scope] };
const deed = (more: Partial<ReportedDeed> = {}): ReportedDeed => ({
  ...reading,
  resource: audience,
  outcome: "succeeded",
  started_at: "2026-11-25T00:00:00Z",
  ended_at: "2026-11-25T00:00:01Z",
  ...more,
});
const report = async (party: Party, told: ReportedDeed) =>
  installation.clientAt(server, party).perform(reportAction, {
    body: { report: await signActionReport(deps(), identityOf(party), told) },
  });
const allowed = async (accessToken: string) => {
  const answer = await authorizeAction(deps(), identityOf(agent), accessToken, reading);
  if (answer.decision === "allow") return answer;
  throw new Error(`no yes, but ${answer.code}`);
};

test("[ISS-001] the SDK gets its answer where the issuer wants a nonce in the proof", async () => {
  const careful = await cast.createAgent("careful");
  const granted = await cast.grant(careful);
  await cast.operator.perform(setClient, {
    params: { id: careful.id },
    body: { dpop_nonce_required: true },
  });
  const { access_token } = await installation
    .clientAt(server, careful)
    .redeemDelegation({ delegation: granted, resource: audience });
  const answer = await authorizeAction(deps(), identityOf(careful), access_token, reading);
  expect(answer.decision).toBe("allow");
});

test("[ACT-001] [ACT-005] [ACT-006] [ACT-009] an action is authorized, claimed, witnessed, and accounted for", async () => {
  const token = await mailToken();
  const { action_id, ledger } = await allowed(token);
  expect(await report(agent, deed({ action_id }))).toMatchObject({
    reporter: "claimed",
    standing: "as_granted",
  });
  const jti = String(decodeJwt(token).jti);
  const seen = await report(cast.mailbox, deed({ agent: agent.clientId, jti }));
  expect(seen).toMatchObject({ reporter: "witnessed", standing: "as_granted" });
  await report(agent, deed());
  for (const reader of [cast.operator, agentClient]) {
    const as = reader === agentClient ? ({ scope: "report" } as const) : {};
    const shown = await reader.perform(getAction, { params: { id: action_id }, ...as });
    expect(shown).toMatchObject({ id: action_id, granted: ledger, witnessed: { ledger: seen.ledger } });
    const query = { agent: agent.id, delegation };
    expect((await reader.perform(listActions, { query, ...as })).items).toContainEqual(shown);
    const params = { id: agent.id };
    expect(await reader.perform(getAccountability, { params, ...as })).toMatchObject({
      claimed: 1,
      witnessed: 1,
      unauthorized: 1,
    });
    const firstPage = await reader.perform(listActionReports, { params, query: { limit: 2 }, ...as });
    const rest = { params, query: { limit: 2, cursor: firstPage.next }, ...as };
    const { items } = await reader.perform(listActionReports, rest);
    expect([...firstPage.items, ...items].map(({ standing }) => standing)).toEqual([
      "as_granted",
      "as_granted",
      "unauthorized",
    ]);
  }
});

test("[ACT-009] the command line lists actions with what became of each, and shows one", async () => {
  const { action_id } = await allowed(await mailToken());
  await report(agent, deed({ action_id, outcome: "failed" }));
  const listed = await installation.run("action", "list", "--agent", agent.id);
  const line = listed.out.split("\n").find((one) => one.startsWith(action_id));
  expect(line).toMatch(/ read +\S+ +claimed failed as_granted$/);
  const shown = await installation.run("action", "show", action_id, "--json");
  expect(JSON.parse(shown.out)).toMatchObject({ id: action_id, claimed: { outcome: "failed" } });
});

test("[ACT-009] an agent reads nothing of another, a resource nothing at all", async () => {
  const { action_id } = await allowed(await mailToken());
  const other = await cast.createAgent("other");
  const codeOf = (party: Party, path: string) =>
    installation
      .clientAt(server, party)
      .fetchRaw({ method: "GET", path, scope: "report" })
      .then(
        ({ status }) => status,
        (error: unknown) => (error instanceof RefusedError ? error.code : error),
      );
  const paths = [
    `/v1/actions/${action_id}`,
    `/v1/actions?agent=${agent.id}`,
    `/v1/agents/${agent.id}/reports`,
    `/v1/agents/${agent.id}/accountability`,
  ];
  for (const path of paths) {
    expect(await codeOf(other, path)).toBe("not_found");
    expect(await codeOf(cast.mailbox, path)).toBe("insufficient_scope");
  }
  expect(await codeOf(other, "/v1/actions")).toBe(200);
});

describe("who asks to act", () => {
  const url = () => `${installation.issuer}/v1/authorize`;
  const ask = async (headers: Record<string, string>, body: unknown = reading) => {
    const response = await fetch(`${server.url}/v1/authorize`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    const { code } = z.looseObject({ code: z.string().optional() }).parse(await response.json());
    return [response.status, code];
  };
  const proof = (accessToken: string, key = agent.key, more: { method?: string; url?: string } = {}) =>
    signDpopProof(deps(), { key, accessToken, method: "POST", url: url(), ...more });

  test("[ACT-003] [VER-002] must present a bound token, and prove to hold its key for this very request", async () => {
    const token = await mailToken();
    const another = await mailToken();
    const thief = (await makeKeyPair()).privateJwk;
    const form = await signedForm(installation, agent, exchangeOf(delegation));
    const bearer = await (await fetch(`${server.url}/token`, { method: "POST", body: form })).json();
    const unbound = z.looseObject({ access_token: z.string() }).parse(bearer).access_token;
    const withoutHash = await signDpopProof(deps(), { key: agent.key, method: "POST", url: url() });
    const used = await proof(token);
    expect(await ask({ authorization: `DPoP ${token}`, dpop: used })).toEqual([200, undefined]);
    const attempts = [
      {},
      { authorization: `Bearer ${token}` },
      { authorization: `Bearer ${unbound}` },
      { authorization: `Bearer ${token}`, dpop: await proof(token) },
      { authorization: `DPoP ${unbound}`, dpop: await proof(unbound) },
      { authorization: `DPoP ${token}` },
      { authorization: `DPoP ${token}`, dpop: used },
      { authorization: `DPoP ${token}`, dpop: await proof(token, thief) },
      { authorization: `DPoP ${token}`, dpop: await proof(another) },
      { authorization: `DPoP ${token}`, dpop: withoutHash },
      { authorization: `DPoP ${token}`, dpop: await proof(token, agent.key, { method: "GET" }) },
      {
        authorization: `DPoP ${token}`,
        dpop: await proof(token, agent.key, { url: `${installation.issuer}/v1/actions` }),
      },
      { authorization: `DPoP ${token.slice(0, -8)}AAAAAAAA`, dpop: await proof(token) },
    ];
    for (const headers of attempts) expect((await ask(headers))[0]).toBe(401);
  });

  test("[ACT-003] with a token that was revoked, or redeems what was, is told so once and for all", async () => {
    const token = await mailToken();
    await allowed(token);
    const { jti } = decodeJwt(token);
    await cast.operator.perform(revokeToken, { params: { id: String(jti) } });
    expect(await ask({ authorization: `DPoP ${token}`, dpop: await proof(token) })).toEqual([
      401,
      "invalid_token",
    ]);
  });

  test("[ACT-003] gets no yes of before under an Idempotency-Key: each is decided anew, or not at all", async () => {
    const token = await mailToken();
    const headers = { authorization: `DPoP ${token}`, dpop: await proof(token), "idempotency-key": "once" };
    expect(await ask(headers)).toEqual([400, "invalid_request"]);
  });

  test("[FLT-009] with an oversized, deep, malformed or misspelt request gets nothing", async () => {
    const token = await mailToken();
    const call = (given: unknown) => ({
      ...reading,
      tool_call: { server: "files", tool: "read_file", arguments: given },
    });
    const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) });
    const bad: readonly (readonly [unknown, number])[] = [
      [call({ a: "x".repeat(70_000) }), 413],
      [call({ a: "x".repeat(33_000) }), 400],
      [call(deep(13)), 400],
      [JSON.stringify(call(deep(40))), 400],
      [
        '{"action":"a","scope":["x"],"tool_call":{"server":"f","tool":"t","arguments":{"__proto__":{}}}}',
        400,
      ],
      ['{"action":"a","scope":["x"],"tool_call":{"server":"f","tool":"t","arguments":{"a":"\\ud800"}}}', 400],
      [call([1]), 400],
      [
        { ...reading, tool_call: { server: "f", tool: "t", arguments: {}, arguments_hash: "A".repeat(43) } },
        400,
      ],
      [{ ...reading, tool_call: { server: "f f", tool: "t" } }, 400],
      [{ ...reading, action: "read\nforged=line" }, 400],
      [{ ...reading, action: "" }, 400],
      [{ ...reading, scope: [] }, 400],
      [{ ...reading, scope: ["*", ""] }, 400],
      [{ ...reading, agent: agent.id }, 400],
      [[], 400],
      ["", 400],
    ];
    for (const [body, status] of bad) {
      const headers = { authorization: `DPoP ${token}`, dpop: await proof(token) };
      expect([body, (await ask(headers, body))[0]]).toEqual([body, status]);
    }
    await allowed(token);
  });

  test("[ACT-003] with a token of this server's own API is no operator's way in", async () => {
    const { access_token } = await cast.operator.requestToken({
      resource: `${installation.issuer}/v1`,
      scope: "admin",
    });
    const operator = { ...(await installation.operatorKey()), accessToken: access_token };
    const body = '{"action":"a","scope":["admin"]}';
    const answer = await callApi(installation, server, operator, {
      method: "POST",
      path: "/v1/authorize",
      body,
    });
    expect([answer.status, await answer.json()]).toMatchObject([403, { code: "not_authorized" }]);
    // Nor does the token for the resource open that API.
    const token = await mailToken();
    const request = { method: "GET", path: "/v1/actions" } as const;
    expect(
      (await callApi(installation, server, { key: agent.key, accessToken: token }, request)).status,
    ).toBe(401);
  });
});

test("[ACT-010] a report needs a token of scope report; one of another scope, however good the report, is not enough", async () => {
  const signed = await signActionReport(deps(), identityOf(agent), deed());
  const refused = agentClient.perform(reportAction, { body: { report: signed }, scope: "delegate" });
  await expect(refused).rejects.toMatchObject({ status: 403, code: "insufficient_scope" });
  const oversized = agentClient.perform(reportAction, { body: { report: "a".repeat(9_000) } });
  await expect(oversized).rejects.toMatchObject({ status: 400, code: "invalid_request" });
});

test("[ACT-008] a report sent at once under one Idempotency-Key, and under none, is recorded once", async () => {
  const { action_id } = await allowed(await mailToken());
  const signed = await signActionReport(deps(), identityOf(agent), deed({ action_id }));
  const { access_token: accessToken } = await agentClient.requestToken({
    resource: `${installation.issuer}/v1`,
    scope: "report",
  });
  const url = `${installation.issuer}/v1/actions`;
  const send = async (key: Record<string, string>) => {
    const dpop = await signDpopProof(deps(), { key: agent.key, accessToken, method: "POST", url });
    const headers = {
      authorization: `DPoP ${accessToken}`,
      dpop,
      "content-type": "application/json",
      ...key,
    };
    const answer = await fetch(`${server.url}/v1/actions`, {
      method: "POST",
      headers,
      body: JSON.stringify({ report: signed }),
    });
    return [answer.status, await answer.text()] as const;
  };
  const keys = Array.from({ length: 12 }, (_, i) => (i % 2 ? {} : { "idempotency-key": "report" }));
  const answers = await Promise.all(keys.map(send));
  const done = answers.filter(([status]) => status === 200);
  expect(new Set(done.map(([, text]) => text)).size).toBe(1);
  // A key that is in use is told so, and may be sent again.
  expect(answers.filter(([status]) => status !== 200 && status !== 409)).toEqual([]);
  expect((await send({ "idempotency-key": "report" }))[1]).toBe(done[0]?.[1]);
});
