import { randomBytes } from "node:crypto";
import { signDpopProof } from "@countersign/sdk/client/sign";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newClientSecret } from "../../src/journeys/client/client-secret.ts";
import {
  answerOf,
  assertionOf,
  makeParty,
  type Party,
  post,
  type RunningIssuer,
  registered,
  signDeps,
  startIssuer,
} from "./issuer-harness.ts";

const { secret, verifier } = newClientSecret((size) => randomBytes(size));
const remembered: number[] = [];
let strict: Party;
let compat: Party;
let older: Party;
let running: RunningIssuer;
beforeAll(async () => {
  [strict, compat, older] = await Promise.all([makeParty(), makeParty(), makeParty()]);
  const clients = [
    registered(strict.clientId, strict.key),
    registered(compat.clientId, compat.key, { compat: true }),
    registered(older.clientId, older.key, {
      compat: true,
      authMethod: "client_secret_basic",
      secretVerifier: verifier,
    }),
  ];
  const used = new Set<string>();
  running = await startIssuer([], {
    findClient: async (clientId) => clients.find((client) => client.clientId === clientId),
    rememberOnce: async ({ kind, value }, expiresAt) => {
      remembered.push(expiresAt.getTime());
      return !used.has(`${kind} ${value}`) && used.add(`${kind} ${value}`).size > 0;
    },
  });
});
afterAll(() => running.stop());

const grant = { grant_type: "client_credentials", resource: "https://mail.example" };
const withSecret = async (clientId: string, given: string, more: Record<string, string> = {}) => {
  const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(given)}`).toString(
    "base64",
  );
  const body = new URLSearchParams(grant);
  const headers = { authorization: `Basic ${basic}`, ...more };
  return answerOf(await fetch(`${running.issuer}/token`, { method: "POST", body, headers }));
};
const forEndpoint = async (party: Party, aud: string | string[]) =>
  post(running.issuer, "/token", party, {
    parameters: { ...grant, client_assertion: await assertionOf(running.issuer, party, { aud }) },
  });

describe("[ISS-006] client_secret_basic", () => {
  test("authenticates the client that an operator gave a secret", async () => {
    expect((await withSecret(older.clientId, secret)).status).toBe(200);
  });

  test.each<[string, () => [string, string]]>([
    ["another secret", () => [older.clientId, newClientSecret((size) => randomBytes(size)).secret]],
    ["what is kept of the secret", () => [older.clientId, verifier]],
    ["an empty secret", () => [older.clientId, ""]],
    ["the secret under another client's name", () => [strict.clientId, secret]],
    ["the secret under the name of one with compat alone", () => [compat.clientId, secret]],
    ["a client's own key thumbprint", () => [strict.clientId, strict.key.kid ?? ""]],
  ])("authenticates nobody by %s", async (_name, attempt) => {
    const before = running.journal.issued.length;
    const { status } = await withSecret(...attempt());
    expect([400, 401]).toContain(status);
    expect(running.journal.issued).toHaveLength(before);
  });

  test("leaves a DPoP proof what it is: good once, and remembered for as long as its time may pass", async () => {
    const url = `${running.issuer}/token`;
    const ahead = { ...signDeps, now: () => Date.now() + 290_000 };
    const dpop = await signDpopProof(ahead, { key: older.key, method: "POST", url });
    remembered.length = 0;
    running.journal.failures.length = 0;
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => withSecret(older.clientId, secret, { dpop })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400]);
    expect(running.journal.failures.map(({ reason }) => reason)).toEqual(
      Array(4).fill("dpop_proof_replayed"),
    );
    expect(Math.min(...remembered)).toBeGreaterThanOrEqual(Date.now() + 590_000);
  });

  test("takes no secret from the form, and no assertion in its place", async () => {
    const body = new URLSearchParams({ ...grant, client_id: older.clientId, client_secret: secret });
    expect((await fetch(`${running.issuer}/token`, { method: "POST", body })).status).toBe(401);
    expect((await post(running.issuer, "/token", older, { parameters: grant })).status).toBe(401);
  });

  test("is told of in no metadata", async () => {
    const { text } = await answerOf(await fetch(`${running.issuer}/.well-known/openid-configuration`));
    expect(text).not.toContain("client_secret");
  });
});

describe("[ISS-006] the token endpoint as the audience of an assertion", () => {
  test("is taken of a client with compat, beside the issuer", async () => {
    expect((await forEndpoint(compat, `${running.issuer}/token`)).status).toBe(200);
    expect((await forEndpoint(compat, running.issuer)).status).toBe(200);
  });

  test("is refused of every other client", async () => {
    expect((await forEndpoint(strict, `${running.issuer}/token`)).json.error).toBe("invalid_client");
  });

  test.each<[string, () => string | string[]]>([
    ["both at once", () => [running.issuer, `${running.issuer}/token`]],
    ["another endpoint", () => `${running.issuer}/introspect`],
    ["another issuer's", () => "https://other.example/token"],
  ])("is refused of one with compat too: %s", async (_name, aud) => {
    expect((await forEndpoint(compat, aud())).json.error).toBe("invalid_client");
  });
});
