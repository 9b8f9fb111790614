import { randomUUID } from "node:crypto";
import { errorCodes } from "@countersign/sdk/model/error-codes";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { DomainError } from "../../src/domain/domain-error.ts";
import { errorTable } from "../../src/domain/error-table.ts";
import type { IssuerDeps } from "../../src/issuer/issuer-deps.ts";
import {
  makeParty,
  makeTokenKeys,
  type Party,
  post,
  proofOf,
  type RunningIssuer,
  startIssuer,
} from "./issuer-harness.ts";

let agent: Party;
let running: RunningIssuer | undefined;
beforeAll(async () => {
  agent = await makeParty();
});
afterEach(() => running?.stop());

class ConnectionLost extends Error {}
const lost = () => Promise.reject(new ConnectionLost("password=hunter2 host=db"));
const broken = () => Promise.reject(new TypeError("cannot read secret of undefined"));

async function start(changes: Partial<IssuerDeps>): Promise<RunningIssuer> {
  running = await startIssuer([agent], {
    isUnavailable: (error) => error instanceof ConnectionLost,
    ...changes,
  });
  return running;
}
const ask = ({ issuer }: RunningIssuer, headers = {}) =>
  post(issuer, "/token", agent, {
    parameters: { grant_type: "client_credentials", resource: "https://mail.example" },
    headers,
  });
const exchange = ({ issuer }: RunningIssuer) =>
  post(issuer, "/token", agent, {
    parameters: {
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token: "dlg_leaf",
      subject_token_type: "urn:countersign:params:oauth:token-type:delegation",
    },
  });

describe("a journey's refusal", () => {
  test.each(errorCodes.filter((code) => code !== "internal"))(
    "%s is told by the table of errors",
    async (code) => {
      const refuse = () =>
        Promise.reject(new DomainError(code, 'not "this"\\ way: ä', new Error("SELECT secret")));
      const issuer = await start({ issueToken: refuse, exchangeToken: refuse });
      for (const answer of [await ask(issuer), await exchange(issuer)]) {
        const { status, oauthError } = errorTable[code];
        expect(answer.status).toBe([401, 413, 503].includes(status) ? status : 400);
        expect(answer.json).toEqual({ error: oauthError, error_description: "not 'this'? way: ?" });
        expect(answer.headers.has("retry-after")).toBe(status === 503);
      }
      expect(issuer.journal.unexpected).toEqual([]);
    },
  );
});

describe("an absent database", () => {
  const refused = async (
    changes: Partial<IssuerDeps>,
    send: (issuer: RunningIssuer) => ReturnType<typeof post>,
  ) => {
    const issuer = await start(changes);
    const answer = await send(issuer);
    expect([answer.status, answer.json.error]).toEqual([503, "temporarily_unavailable"]);
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(answer.text).not.toContain("hunter2");
    expect(issuer.journal.failures).toEqual([]);
    await issuer.stop();
  };
  const introspect = ({ issuer }: RunningIssuer) =>
    post(issuer, "/introspect", agent, { parameters: { token: "x" } });
  const revoke = ({ issuer }: RunningIssuer) =>
    post(issuer, "/revoke", agent, { parameters: { token: "x" } });

  test("is 503 wherever it is missed, never a failed authentication and never an inactive token", async () => {
    for (const send of [ask, exchange, introspect, revoke]) {
      await refused({ findClient: lost }, send);
      await refused({ rememberOnce: lost }, send);
      await refused(
        { rememberOnce: () => Promise.reject(new DomainError("ledger_unavailable", "wait")) },
        send,
      );
    }
    await refused({ issueToken: lost }, ask);
    await refused({ exchangeToken: lost }, exchange);
    await refused({ introspectToken: lost }, introspect);
    await refused({ revokeToken: lost }, revoke);
  });

  test("is 503 when a DPoP proof can't be remembered", async () => {
    let asked = 0;
    const issuer = await start({ rememberOnce: async () => (asked++ === 0 ? true : lost()) });
    const answer = await ask(issuer, { dpop: await proofOf(`${issuer.issuer}/token`, agent.key) });
    expect(answer.status).toBe(503);
    expect(issuer.journal.issued).toEqual([]);
  });
});

describe("what nobody expected", () => {
  test("is told as server_error and nothing more, and reported once", async () => {
    const issuer = await start({ issueToken: broken, findClient: undefined as never });
    const answer = await ask(issuer);
    expect(answer.status).toBe(500);
    expect(answer.json.error).toBe("server_error");
    expect(issuer.journal.unexpected).toHaveLength(1);
  });

  test.each<[string, Partial<IssuerDeps>]>([
    ["a journey that fails", { issueToken: broken }],
    ["a look-up that fails", { findClient: broken }],
    [
      "an internal error of a journey",
      { issueToken: () => Promise.reject(new DomainError("internal", "x")) },
    ],
  ])("%s", async (_name, changes) => {
    const issuer = await start(changes);
    const answer = await ask(issuer);
    expect([answer.status, answer.json]).toEqual([
      500,
      { error: "server_error", error_description: "oops! something went wrong" },
    ]);
    expect(issuer.journal.unexpected).toHaveLength(1);
  });
});

describe("what was not recorded is not signed:", () => {
  const claimsOf = (change: object): Partial<IssuerDeps> => ({
    issueToken: async ({ client }) => {
      const clientId = agent.clientId;
      const nowSeconds = Math.floor(Date.now() / 1000);
      const claims = {
        iss: running?.issuer ?? "",
        sub: clientId,
        aud: "https://mail.example",
        client_id: clientId,
        org: client.organization,
        jti: "tok_x",
        iat: nowSeconds,
        exp: nowSeconds + 60,
        txn: "txn_x",
        ...change,
      };
      return { claims, ledger: { log: "default" as never, index: 0 } };
    },
  });

  test.each<[string, object]>([
    ["claims of another client", { client_id: "spiffe://issuer.example/org/default/agent/other" }],
    ["claims of another issuer", { iss: "https://elsewhere.example" }],
    ["claims bound to a key that was not proven", { cnf: { jkt: "x" } }],
    ["claims that change after they were recorded", { sub: { toJSON: () => randomUUID() } }],
  ])("%s", async (_name, change) => {
    const issuer = await start(claimsOf(change));
    const answer = await ask(issuer);
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain("access_token");
    expect(issuer.journal.unexpected).toHaveLength(1);
  });

  test("claims without the binding that was proven", async () => {
    const issuer = await start(claimsOf({}));
    const answer = await ask(issuer, { dpop: await proofOf(`${issuer.issuer}/token`, agent.key) });
    expect(answer.status).toBe(500);
  });

  test("nor by a key that is only published", async () => {
    const old = await makeTokenKeys();
    const keys = await makeTokenKeys(old.published);
    const issuer = await start({ tokenKeys: () => keys });
    for (let time = 0; time < 5; time++) {
      const { json } = await ask(issuer);
      const [header = ""] = json.access_token.split(".");
      expect(JSON.parse(Buffer.from(header, "base64url").toString()).kid).toBe(keys.active.kid);
    }
  });
});
