import { X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { selfSigned } from "../certificate.ts";
import {
  answerOf,
  makeParty,
  type Party,
  post,
  proofOf,
  type RunningIssuer,
  registered,
  startIssuer,
} from "./issuer-harness.ts";

let agent: Party;
let other: Party;
let jwtAgent: Party;
let operator: Party;
let running: RunningIssuer;
let presented: X509Certificate | undefined;
const certificateOf = ({ key }: Party) => new X509Certificate(selfSigned(key).cert);

beforeAll(async () => {
  [agent, other, jwtAgent, operator] = await Promise.all([
    makeParty(),
    makeParty(),
    makeParty(),
    makeParty("operator"),
  ]);
  const byCertificate = { authMethod: "self_signed_tls_client_auth" } as const;
  const clients = [
    registered(agent.clientId, agent.key, byCertificate),
    registered(other.clientId, other.key, byCertificate),
    registered(jwtAgent.clientId, jwtAgent.key),
    registered(operator.clientId, operator.key),
  ];
  running = await startIssuer([], {
    findClient: async (clientId) => clients.find((client) => client.clientId === clientId),
    certificateOf: () => presented,
    mutualTls: { origin: "https://id.example:8461" },
  });
});
afterAll(() => running.stop());

const grant = { grant_type: "client_credentials", resource: "https://mail.example" };
/** Asks for a token under a client id, with a certificate and nothing else. */
async function ask(
  clientId: string,
  certificate: X509Certificate | undefined,
  more: Record<string, string> = {},
) {
  presented = certificate;
  const body = new URLSearchParams({ ...grant, client_id: clientId, ...more });
  return answerOf(await fetch(`${running.issuer}/token`, { method: "POST", body }));
}
const thumbprintOf = (certificate: X509Certificate) =>
  Buffer.from(certificate.fingerprint256.replaceAll(":", ""), "hex").toString("base64url");

describe("[ISS-004] a certificate", () => {
  test("with a key of the client authenticates it, and binds its token", async () => {
    const certificate = certificateOf(agent);
    const { status, json } = await ask(agent.clientId, certificate);
    expect([status, json.token_type]).toEqual([200, "Bearer"]);
    expect(running.journal.recorded.at(-1)).toMatchObject({
      client_id: agent.clientId,
      cnf: { "x5t#S256": thumbprintOf(certificate) },
    });
  });

  test.each<[string, () => [string, X509Certificate | undefined]]>([
    ["none", () => [agent.clientId, undefined]],
    ["one of another client", () => [agent.clientId, certificateOf(other)]],
    ["one of a client that authenticates by assertion", () => [jwtAgent.clientId, certificateOf(jwtAgent)]],
    ["one of an operator", () => [operator.clientId, certificateOf(operator)]],
  ])("authenticates nobody: %s", async (_name, attempt) => {
    const before = running.journal.recorded.length;
    const { status, json } = await ask(...attempt());
    expect([status, json.error]).toEqual([401, "invalid_client"]);
    expect(running.journal.recorded).toHaveLength(before);
  });

  test("in an assertion's place is not mixed with one", async () => {
    presented = certificateOf(agent);
    const { status } = await post(running.issuer, "/token", agent, { parameters: grant });
    expect(status).toBe(401);
  });

  test("binds a token of a client that authenticates by assertion; an operator's by its own key only", async () => {
    const attempts: [Party, Party, number][] = [
      [jwtAgent, other, 200],
      [operator, operator, 200],
      [operator, other, 400],
    ];
    for (const [party, holder, status] of attempts) {
      presented = certificateOf(holder);
      expect((await post(running.issuer, "/token", party, { parameters: grant })).status).toBe(status);
      if (status !== 200) continue;
      expect(running.journal.recorded.at(-1)?.cnf).toEqual({ "x5t#S256": thumbprintOf(presented) });
    }
  });

  test("gives way to a DPoP proof", async () => {
    presented = certificateOf(jwtAgent);
    const headers = { dpop: await proofOf(`${running.issuer}/token`, jwtAgent.key) };
    const { json } = await post(running.issuer, "/token", jwtAgent, { parameters: grant, headers });
    expect(json.token_type).toBe("DPoP");
    expect(running.journal.recorded.at(-1)?.cnf).toEqual({ jkt: jwtAgent.key.kid });
  });
});

test("[ISS-004] metadata tells where certificates are asked for, and only where they are", async () => {
  const read = async (issuer: string) =>
    (await answerOf(await fetch(`${issuer}/.well-known/oauth-authorization-server`))).json;
  expect(await read(running.issuer)).toMatchObject({
    token_endpoint: `${running.issuer}/token`,
    token_endpoint_auth_methods_supported: [
      "private_key_jwt",
      "self_signed_tls_client_auth",
      "spiffe_x509",
      "spiffe_jwt",
    ],
    tls_client_certificate_bound_access_tokens: true,
    mtls_endpoint_aliases: {
      token_endpoint: "https://id.example:8461/token",
      introspection_endpoint: "https://id.example:8461/introspect",
      revocation_endpoint: "https://id.example:8461/revoke",
      pushed_authorization_request_endpoint: "https://id.example:8461/par",
    },
  });
  const behindProxy = await startIssuer([], { mutualTls: { origin: undefined } });
  const metadata = await read(behindProxy.issuer);
  expect(metadata).toMatchObject({ tls_client_certificate_bound_access_tokens: true });
  expect(metadata).not.toHaveProperty("mtls_endpoint_aliases");
  await behindProxy.stop();
});

test("[ISS-004] a DPoP proof names the alias where the request was sent to the alias", async () => {
  const alias = "https://id.example:8461";
  const issuer = await startIssuer([agent], { originAsked: () => alias });
  const send = async (origin: string) =>
    post(issuer.issuer, "/token", agent, {
      parameters: grant,
      headers: { dpop: await proofOf(`${origin}/token`, agent.key) },
    });
  expect((await send(alias)).status).toBe(200);
  expect((await send(issuer.issuer)).json.error).toBe("invalid_dpop_proof");
  await issuer.stop();
});
