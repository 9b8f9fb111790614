import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { logIssuer } from "../../src/app/log-issuer.ts";
import { DomainError } from "../../src/domain/domain-error.ts";
import { createLogger } from "../../src/http/logger.ts";
import { UnrecordedSvid } from "../../src/journeys/token/proven.ts";
import {
  assertionOf,
  makeParty,
  type Party,
  post,
  postRaw,
  proofOf,
  type RunningIssuer,
  startIssuer,
} from "./issuer-harness.ts";

let agent: Party;
let running: RunningIssuer;
const lines: string[] = [];

beforeAll(async () => {
  agent = await makeParty();
  const log = logIssuer(createLogger("trace", { write: (line) => lines.push(line) }));
  running = await startIssuer([agent], {
    ...log,
    introspectToken: () => Promise.reject(new DomainError("ledger_unavailable", "wait")),
    exchangeToken: () => Promise.reject(new DomainError("not_authorized", "policy says no")),
  });
});
afterAll(() => running.stop());
beforeEach(() => {
  lines.length = 0;
});

const url = (path: string) => `${running.issuer}${path}`;
const clientCredentials = { grant_type: "client_credentials", resource: "https://mail.example" };
const exchange = {
  grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
  subject_token: "dlg_leaf",
  subject_token_type: "urn:countersign:params:oauth:token-type:delegation",
};
type Send = (headers: Record<string, string>) => Promise<{ status: number }>;
const asAgent =
  (path: string, parameters: Record<string, string | undefined>): Send =>
  (headers) =>
    post(running.issuer, path, agent, { parameters, headers });

describe("[LOG-001] the log has one line, with the id of the request, of", () => {
  test.each<[string, Send, () => object]>([
    [
      "a body that is no form",
      (headers) => postRaw(url("/token"), "{}", { ...headers, "content-type": "application/json" }),
      () => ({ endpoint: "/token", error: "invalid_request" }),
    ],
    [
      "a body that is too large",
      (headers) => postRaw(url("/token"), "a".repeat(100_000), headers),
      () => ({ endpoint: "/token", error: "invalid_request" }),
    ],
    [
      "a request without a client",
      (headers) => postRaw(url("/token"), "grant_type=client_credentials", headers),
      () => ({ endpoint: "/token", error: "invalid_request" }),
    ],
    [
      "an unknown grant",
      asAgent("/token", { grant_type: "password" }),
      () => ({ endpoint: "/token", error: "unsupported_grant_type", client: agent.clientId }),
    ],
    [
      "what a journey refuses",
      asAgent("/token", exchange),
      () => ({
        error: "access_denied",
        detail: expect.stringContaining("policy says no"),
        client: agent.clientId,
      }),
    ],
    [
      "an assertion for another issuer",
      async (headers) => {
        const client_assertion = await assertionOf("https://elsewhere.example", agent);
        return post(running.issuer, "/token", agent, {
          headers,
          parameters: { ...clientCredentials, client_assertion },
        });
      },
      () => ({ error: "invalid_client", client: agent.clientId, msg: "authentication failed" }),
    ],
    [
      "a proof for another endpoint",
      async (headers) =>
        asAgent("/token", clientCredentials)({ ...headers, dpop: await proofOf(url("/x"), agent.key) }),
      () => ({ error: "invalid_dpop_proof", client: agent.clientId, msg: "authentication failed" }),
    ],
    [
      "an introspection of nothing",
      asAgent("/introspect", {}),
      () => ({ endpoint: "/introspect", error: "invalid_request", client: agent.clientId }),
    ],
    [
      "a request that can't be answered now",
      asAgent("/introspect", { token: "x" }),
      () => ({ endpoint: "/introspect", error: "temporarily_unavailable", msg: "request failed", level: 50 }),
    ],
    [
      "somebody who would sign in",
      async (headers) => fetch(url("/auth?client_id=me"), { headers }),
      () => ({ endpoint: "/auth", error: "unauthorized_client" }),
    ],
  ])("%s", async (_name, send, expected) => {
    const requestId = randomUUID();
    const { status } = await send({ "x-request-id": requestId });
    expect(status).toBeGreaterThanOrEqual(400);
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({
        level: 30,
        msg: "request refused",
        ...expected(),
        request_id: requestId,
      }),
    ]);
  });

  test("a token that is handed out: at debug, by its ids alone", async () => {
    const requestId = randomUUID();
    const answer = await asAgent("/token", clientCredentials)({ "x-request-id": requestId });
    expect(answer.status).toBe(200);
    const [claims] = running.journal.recorded;
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        level: 20,
        time: expect.any(Number),
        request_id: requestId,
        endpoint: "/token",
        client: agent.clientId,
        txn: claims?.txn,
        jti: claims?.jti,
        msg: "token issued",
      },
    ]);
  });
});

test("[SVI-021] an SVID that stands in no record is told as an error: somebody has the authority's key", async () => {
  const log = logIssuer(createLogger("trace", { write: (line) => lines.push(line) }));
  const issueToken = () => Promise.reject(new UnrecordedSvid());
  const betrayed = await startIssuer([agent], { ...log, issueToken });
  const { status, json } = await post(betrayed.issuer, "/token", agent, { parameters: clientCredentials });
  expect([status, json.error]).toEqual([401, "invalid_client"]);
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({
      level: 50,
      endpoint: "/token",
      client: agent.clientId,
      error: "svid_unrecorded",
      msg: expect.stringContaining("Taint the authority"),
    }),
  ]);
  await betrayed.stop();
});
