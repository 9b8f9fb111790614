import { signDpopProof } from "@countersign/sdk/client/sign";
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import * as oauth from "openid-client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dpopNoncesOf } from "../../src/issuer/provider-seam.ts";
import {
  jwksOf,
  makeParty,
  makeTokenKeys,
  nonceSecret,
  type Party,
  post,
  proofOf,
  type RunningIssuer,
  signDeps,
  startIssuer,
} from "./issuer-harness.ts";

const mail = "https://mail.example";
let agent: Party;
let operator: Party;
let running: RunningIssuer;

beforeAll(async () => {
  agent = await makeParty();
  operator = await makeParty("operator");
  running = await startIssuer([agent, operator]);
});
afterAll(() => running.stop());

const ask = (parameters: Record<string, string | undefined>, headers = {}, party = agent) =>
  post(running.issuer, "/token", party, { parameters, headers });
const exchange = (parameters: Record<string, string | undefined>, headers = {}) =>
  ask(
    {
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token: "dlg_leaf",
      subject_token_type: "urn:countersign:params:oauth:token-type:delegation",
      ...parameters,
    },
    headers,
  );

async function verified(token: string) {
  const keys = await jwksOf(running.issuer);
  return (await jwtVerify(token, createLocalJWKSet(keys), { typ: "at+jwt", issuer: running.issuer })).payload;
}

describe("client_credentials", () => {
  test("signs exactly the claims that the journey recorded, and says where", async () => {
    const answer = await ask({
      grant_type: "client_credentials",
      resource: mail,
      scope: "mail.send mail.read",
    });
    expect(answer.status).toBe(200);
    const { access_token, ...rest } = answer.json;
    const recorded = running.journal.recorded.at(-1);
    expect(await verified(access_token)).toEqual(recorded);
    expect(rest).toEqual({
      token_type: "Bearer",
      expires_in: 240,
      scope: "mail.read mail.send",
      ledger: { log: "default", index: running.journal.recorded.length - 1 },
    });
    expect(decodeProtectedHeader(access_token)).toEqual({
      alg: "ES256",
      typ: "at+jwt",
      kid: running.keys.active.kid,
    });
    expect(answer.headers.get("cache-control")).toBe("no-store");
  });

  test("calls the journey once, with what was asked and the request's id", async () => {
    const before = running.journal.issued.length;
    const sent = { grant_type: "client_credentials", resource: mail, scope: "mail.read" };
    await ask(sent, { "x-request-id": "req-1" });
    expect(running.journal.issued.slice(before)).toEqual([
      { client: agent.principal, resource: mail, scope: ["mail.read"], context: { requestId: "req-1" } },
    ]);
  });

  test("leaves the choice of a resource to the journey when none is named", async () => {
    const { status } = await ask({ grant_type: "client_credentials" });
    expect(status).toBe(200);
    expect(running.journal.issued.at(-1)).not.toHaveProperty("resource");
    expect(running.journal.issued.at(-1)).not.toHaveProperty("scope");
  });

  test("binds the token to the key of the DPoP proof", async () => {
    const proof = await proofOf(`${running.issuer}/token`, agent.key);
    const { json } = await ask({ grant_type: "client_credentials", resource: mail }, { dpop: proof });
    expect(json.token_type).toBe("DPoP");
    expect((await verified(json.access_token))["cnf"]).toEqual({ jkt: agent.key.kid });
  });

  test("gives an operator no token that is not bound to its key", async () => {
    const before = running.journal.issued.length;
    const { status, json } = await ask({ grant_type: "client_credentials", resource: mail }, {}, operator);
    expect([status, json.error]).toEqual([400, "invalid_dpop_proof"]);
    expect(running.journal.issued.length).toBe(before);
    const url = `${running.issuer}/token`;
    const nonce = dpopNoncesOf(nonceSecret).next();
    const proof = await signDpopProof(signDeps, { key: operator.key, method: "POST", url, nonce });
    const bound = await ask({ grant_type: "client_credentials", resource: mail }, { dpop: proof }, operator);
    expect(bound.json.token_type).toBe("DPoP");
  });
});

describe("token exchange", () => {
  test("signs exactly the claims that the journey recorded, and says where", async () => {
    const proof = await proofOf(`${running.issuer}/token`, agent.key);
    const { status, json } = await exchange({ resource: mail, scope: "mail.read" }, { dpop: proof });
    expect(status).toBe(200);
    const { access_token, ...rest } = json;
    expect(await verified(access_token)).toEqual(running.journal.recorded.at(-1));
    expect(rest).toEqual({
      issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
      token_type: "DPoP",
      expires_in: 240,
      scope: "mail.read",
      ledger: { log: "default", index: running.journal.recorded.length - 1 },
    });
  });

  test("hands the journey what was asked, once", async () => {
    const before = running.journal.exchanged.length;
    await exchange(
      {
        audience: mail,
        actor_token: "a.b.c",
        actor_token_type: "urn:ietf:params:oauth:token-type:access_token",
        requested_token_type: "urn:ietf:params:oauth:token-type:access_token",
      },
      { "x-request-id": "req-2" },
    );
    expect(running.journal.exchanged.slice(before)).toEqual([
      {
        client: agent.principal,
        subjectToken: "dlg_leaf",
        subjectTokenType: "urn:countersign:params:oauth:token-type:delegation",
        actorToken: "a.b.c",
        resource: mail,
        context: { requestId: "req-2" },
      },
    ]);
  });

  test("hands on authorization_details as they were sent, beside them no resource of the library's", async () => {
    const before = running.journal.exchanged.length;
    const sent: unknown[] = [[{ type: "tool_call" }], "text", null, 5, {}];
    for (const details of sent) await exchange({ authorization_details: JSON.stringify(details) });
    await exchange({ authorization_details: "[]", audience: mail });
    const asked = running.journal.exchanged.slice(before);
    expect(asked.map((request) => request.authorizationDetails)).toEqual([...sent, []]);
    expect(asked.map((request) => request.resource)).toEqual([...sent.map(() => undefined), mail]);
    await exchange({ authorization_details: "" });
    expect(running.journal.exchanged.at(-1)).not.toHaveProperty("authorizationDetails");
  });

  test.each(["access_token", "jwt"])("names what it issued as it was asked for: %s", async (word) => {
    const type = `urn:ietf:params:oauth:token-type:${word}`;
    const types = { subject_token_type: type, requested_token_type: type };
    const { json } = await exchange({ ...types, actor_token: "a.b.c", actor_token_type: type });
    expect(json.issued_token_type).toBe(type);
    const asked = running.journal.exchanged.at(-1);
    expect(asked).toMatchObject({ subjectTokenType: type, actorToken: "a.b.c" });
    expect(Object.keys(asked ?? {}).sort()).toEqual([
      "actorToken",
      "client",
      "context",
      "subjectToken",
      "subjectTokenType",
    ]);
  });

  test.each([
    ["a missing subject_token", { subject_token: undefined }, "invalid_request"],
    ["an empty subject_token", { subject_token: "" }, "invalid_request"],
    ["an endless subject_token", { subject_token: "x".repeat(20_000) }, "invalid_request"],
    ["a missing subject_token_type", { subject_token_type: undefined }, "invalid_request"],
    [
      "an unknown subject_token_type",
      { subject_token_type: "urn:ietf:params:oauth:token-type:saml2" },
      "invalid_request",
    ],
    [
      "another requested_token_type",
      { requested_token_type: "urn:ietf:params:oauth:token-type:id_token" },
      "invalid_request",
    ],
    ["an actor_token without its type", { actor_token: "a.b.c" }, "invalid_request"],
    [
      "an actor_token that is a delegation",
      { actor_token: "dlg_x", actor_token_type: "urn:countersign:params:oauth:token-type:delegation" },
      "invalid_request",
    ],
    [
      "an actor_token_type without a token",
      { actor_token_type: "urn:ietf:params:oauth:token-type:access_token" },
      "invalid_request",
    ],
    ["two targets", { resource: mail, audience: "https://files.example" }, "invalid_target"],
    ["a target of another spelling", { resource: "https://MAIL.example" }, "invalid_target"],
    ["a scope that is none", { scope: 'mail"read' }, "invalid_scope"],
    [
      "a scope without end",
      { scope: Array.from({ length: 70 }, (_, n) => `s${n}`).join(" ") },
      "invalid_scope",
    ],
    ["details that are no JSON", { authorization_details: "[{" }, "invalid_authorization_details"],
    [
      "details without end",
      { authorization_details: `[${" ".repeat(20_000)}]` },
      "invalid_authorization_details",
    ],
  ])("refuses %s before any journey", async (_name, parameters, error) => {
    const before = running.journal.exchanged.length;
    const answer = await exchange(parameters);
    expect([answer.status, answer.json.error]).toEqual([400, error]);
    expect(running.journal.exchanged.length).toBe(before);
  });
});

test("openid-client finds the issuer, authenticates, and gets DPoP-bound tokens by both grants", async () => {
  const key = await crypto.subtle.importKey(
    "jwk",
    { ...agent.key },
    { name: "ECDSA", namedCurve: "P-256" },
    false,
    ["sign"],
  );
  const as = (algorithm: "oauth2" | "oidc") =>
    oauth.discovery(
      new URL(running.issuer),
      agent.clientId,
      undefined,
      oauth.PrivateKeyJwt({ key, kid: agent.key.kid ?? "" }),
      { execute: [oauth.allowInsecureRequests], algorithm },
    );
  for (const config of [await as("oauth2"), await as("oidc")]) {
    const DPoP = oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair());
    const own = await oauth.clientCredentialsGrant(config, { resource: mail, scope: "mail.read" }, { DPoP });
    expect(own.token_type).toBe("dpop");
    const exchanged = await oauth.genericGrantRequest(
      config,
      "urn:ietf:params:oauth:grant-type:token-exchange",
      {
        subject_token: "dlg_leaf",
        subject_token_type: "urn:countersign:params:oauth:token-type:delegation",
        resource: mail,
      },
      { DPoP },
    );
    expect(exchanged["ledger"]).toMatchObject({ log: "default" });
    expect(await oauth.tokenIntrospection(config, own.access_token)).toMatchObject({
      active: true,
      aud: mail,
    });
    await oauth.tokenRevocation(config, own.access_token);
  }
});

test("signs with new keys from the moment they are rotated in, and publishes the old one beside them", async () => {
  const issuer = await startIssuer([agent]);
  const sent = { parameters: { grant_type: "client_credentials", resource: mail } };
  const before = await post(issuer.issuer, "/token", agent, sent);
  const next = await makeTokenKeys(issuer.keys.published);
  issuer.face.rotate(next);
  const after = await post(issuer.issuer, "/token", agent, sent);
  expect(decodeProtectedHeader(before.json.access_token).kid).toBe(issuer.keys.active.kid);
  expect(decodeProtectedHeader(after.json.access_token).kid).toBe(next.active.kid);
  const jwks = await jwksOf(issuer.issuer);
  expect(jwks.keys.map(({ kid }) => kid)).toEqual([next.active.kid, issuer.keys.active.kid]);
  expect(JSON.stringify(jwks)).not.toContain('"d"');
  for (const { json } of [before, after]) await jwtVerify(json.access_token, createLocalJWKSet(jwks));
  await issuer.stop();
});
