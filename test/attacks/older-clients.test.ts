import { createHash } from "node:crypto";
import { setClient, type setClientRequestSchema } from "@countersign/sdk/contract/clients";
import { allowInsecureRequests, ClientSecretBasic, clientCredentialsGrant, discovery } from "openid-client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { z } from "zod";
import { type Cast, castPlayers, signedForm } from "../chaos/cast.ts";
import { type Installation, makeInstallation, type Party, type ServerProcess } from "../server.ts";

const removals: (() => Promise<void>)[] = [];
const redirectUri = "https://app.example/callback";
let installation: Installation;
let server: ServerProcess;
let cast: Cast;
let older: Party;
let strict: Party;
beforeAll(async () => {
  const settings = { COUNTERSIGN_LOG_LEVEL: "trace" };
  installation = await makeInstallation(settings, (remove) => removals.push(remove));
  server = await installation.startServer();
  cast = await castPlayers(installation, server);
  [older, strict] = await Promise.all([cast.createAgent("older"), cast.createAgent("strict")]);
});
afterAll(async () => {
  for (const remove of removals) await remove();
});

const set = ({ id }: Party, body: z.input<typeof setClientRequestSchema>) =>
  cast.operator.perform(setClient, { params: { id }, body });
const withSecret = { compat: true, token_endpoint_auth_method: "client_secret_basic" } as const;
const ownToken = () => ({
  grant_type: "client_credentials",
  resource: `${installation.issuer}/v1`,
  scope: "delegate",
});

async function tokenBySecret({ clientId }: Party, secret: string): Promise<number> {
  const basic = Buffer.from(`${encodeURIComponent(clientId)}:${secret}`).toString("base64");
  const headers = { authorization: `Basic ${basic}` };
  const body = new URLSearchParams(ownToken());
  return (await fetch(`${server.url}/token`, { method: "POST", headers, body })).status;
}

const push = async (party: Party, changes: Record<string, string> = {}) => {
  const code_challenge = createHash("sha256").update("verifier").digest("base64url");
  const request = {
    response_type: "code",
    redirect_uri: redirectUri,
    code_challenge,
    code_challenge_method: "S256",
  };
  const body = await signedForm(installation, party, { ...request, ...changes });
  const answer = await fetch(`${server.url}/par`, { method: "POST", body });
  const { request_uri: requestUri = "" } = (await answer.json()) as { request_uri?: string };
  return { status: answer.status, requestUri };
};
const authorize = async ({ clientId }: Party, requestUri: string) => {
  const query = new URLSearchParams({ client_id: clientId, request_uri: requestUri });
  return ((await (await fetch(`${server.url}/auth?${query}`)).json()) as { error: string }).error;
};

describe("[ISS-006] a client's secret", () => {
  test("works for openid-client, and ends with the next change, at once", async () => {
    const { client_secret: secret = "" } = await set(older, withSecret);
    const config = await discovery(
      new URL(installation.issuer),
      older.clientId,
      undefined,
      ClientSecretBasic(secret),
      {
        execute: [allowInsecureRequests],
      },
    );
    const { grant_type: _, ...target } = ownToken();
    expect((await clientCredentialsGrant(config, target)).token_type).toBe("bearer");
    const { client_secret: renewed = "" } = await set(older, withSecret);
    expect(await Promise.all([tokenBySecret(older, secret), tokenBySecret(older, renewed)])).toEqual([
      401, 200,
    ]);
    expect(await tokenBySecret(strict, renewed)).toBe(401);
    await set(older, {});
    expect(await tokenBySecret(older, renewed)).toBe(401);
  });

  test("is refused without compat, and any redirect URI that others could catch", async () => {
    const bad: z.input<typeof setClientRequestSchema>[] = [
      { token_endpoint_auth_method: "client_secret_basic" },
      ...[
        "http://app.example/callback",
        "https://app.example/callback#x",
        "https://user@app.example/",
        "HTTPS://app.example/callback",
        "https://app.example",
        "javascript:alert(1)",
        "app:/callback",
        "*",
      ].map((uri) => ({ redirect_uris: [uri] })),
    ];
    for (const body of bad)
      await expect(set(strict, body)).rejects.toMatchObject({ code: "invalid_request" });
  });
});

describe("[ISS-005] pushed requests on a real database", () => {
  test("are used once by concurrent citations, and by no other client", async () => {
    await Promise.all([older, strict].map((party) => set(party, { redirect_uris: [redirectUri] })));
    const { status, requestUri } = await push(older);
    expect(status).toBe(201);
    expect(await authorize(strict, requestUri)).toBe("invalid_request_uri");
    const errors = await Promise.all(Array.from({ length: 10 }, () => authorize(older, requestUri)));
    expect(errors.sort()).toEqual([...Array(9).fill("invalid_request_uri"), "unauthorized_client"]);
    expect((await push(older, { redirect_uri: "https://evil.example/" })).status).toBe(400);
  });
});

test("[LOG-002] neither a secret nor a nonce's or a pushed request's text is in the log or in the ledger", async () => {
  const { client_secret: secret = "" } = await set(older, withSecret);
  expect(await tokenBySecret(older, secret)).toBe(200);
  expect(await tokenBySecret(strict, secret)).toBe(401);
  // Where a caller may have put it by mistake.
  await fetch(`${server.url}/v1/clients/${secret}`);
  await set(strict, { redirect_uris: [redirectUri] });
  const { requestUri } = await push(strict, { state: "a-state-of-the-client" });
  await authorize(strict, requestUri);
  const { err, out } = await server.stop();
  expect(err).toContain("authentication failed");
  for (const text of [secret.slice(5), "a-state-of-the-client", requestUri.slice(-20)]) {
    expect(`${err}${out}`).not.toContain(text);
  }
});
