import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from "node:tls";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import { listActions } from "@countersign/sdk/contract/actions";
import { setClient } from "@countersign/sdk/contract/clients";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CertifiedKey, selfSigned } from "../certificate.ts";
import { castPlayers, exchangeOf, scope } from "../chaos/cast.ts";
import {
  freePort,
  type Installation,
  makeInstallation,
  type Party,
  type ServerProcess,
  until,
} from "../server.ts";

const directory = mkdtempSync(join(tmpdir(), "countersign-certificates-"));
const files = { cert: join(directory, "tls.crt"), key: join(directory, "tls.key") };
const removals: (() => Promise<void>)[] = [];
let installation: Installation;
let server: ServerProcess;
let alias: string;
let agent: Party;
let other: Party;
let delegation: string;

/** Each of another name: of two of one name a client looks at the first. */
async function writeServerCertificate(name: string): Promise<void> {
  const { cert, key } = selfSigned((await makeKeyPair()).privateJwk, name);
  setDefaultCACertificates([...getCACertificates(), cert]);
  writeFileSync(files.key, key);
  writeFileSync(files.cert, cert);
}

beforeAll(async () => {
  await writeServerCertificate("server");
  const port = await freePort();
  const settings = {
    COUNTERSIGN_TLS_CERT: files.cert,
    COUNTERSIGN_TLS_KEY: files.key,
    COUNTERSIGN_MTLS_PORT: String(port),
  };
  installation = await makeInstallation(settings, (remove) => removals.push(remove));
  server = await installation.startServer();
  alias = `https://127.0.0.1:${port}`;
  const { operator, createAgent, grant } = await castPlayers(installation, server);
  [agent, other] = await Promise.all([createAgent("agent"), createAgent("other")]);
  delegation = await grant(agent);
  for (const { id } of [agent, other]) {
    const body = { token_endpoint_auth_method: "self_signed_tls_client_auth" } as const;
    await operator.perform(setClient, { params: { id }, body });
  }
});
afterAll(async () => {
  for (const remove of removals) await remove();
  rmSync(directory, { recursive: true });
});

interface Sent {
  readonly certified?: CertifiedKey;
  readonly headers?: Record<string, string>;
  readonly form?: Record<string, string>;
  readonly json?: object;
}

/** Sends a request on a connection of its own, with a certificate or without. */
function send(url: string, { certified, headers = {}, form, json }: Sent = {}) {
  const body = form === undefined ? json && JSON.stringify(json) : new URLSearchParams(form).toString();
  const type = { "content-type": form ? "application/x-www-form-urlencoded" : "application/json" };
  const method = body === undefined ? "GET" : "POST";
  const options = { method, headers: { ...(body && type), ...headers }, agent: new Agent(), ...certified };
  return new Promise<{ status: number; json: Record<string, string>; server: X509Certificate | undefined }>(
    (resolve, reject) => {
      const sent = request(url, options, (response) => {
        const shown = (response.socket as TLSSocket).getPeerX509Certificate();
        response.toArray().then((chunks) => {
          const json = JSON.parse(Buffer.concat(chunks).toString());
          resolve({ status: response.statusCode ?? 0, json, server: shown });
        }, reject);
      });
      sent.on("error", reject).end(body);
    },
  );
}

const grantTo = ({ clientId }: Party) => ({
  grant_type: "client_credentials",
  resource: `${installation.issuer}/v1`,
  scope: "delegate",
  client_id: clientId,
});
const header = ({ cert }: CertifiedKey) => ({
  "client-cert": `:${new X509Certificate(cert).raw.toString("base64")}:`,
});

/** A token without the certificate that it is bound to, by every way to send one. */
const attemptsWith = (certified: CertifiedKey, headers: Record<string, string>): [string, Sent][] => [
  [alias, { headers }],
  [alias, { headers, certified: selfSigned(other.key) }],
  // The key is the same; the certificate, which the token names, is another.
  [alias, { headers, certified: selfSigned(agent.key) }],
  [installation.issuer, { headers, certified }],
  [installation.issuer, { headers: { ...headers, ...header(certified) } }],
  [alias, { headers: { ...headers, ...header(certified) } }],
];

describe("[ISS-004] a server that asks for certificates at a port of its own", () => {
  test("gives a client there a token that is good there, with the same certificate, and nowhere else", async () => {
    const certified = selfSigned(agent.key);
    const { status, json } = await send(`${alias}/token`, { certified, form: grantTo(agent) });
    expect([status, json["token_type"]]).toEqual([200, "Bearer"]);
    const { cnf } = decodeJwt(json["access_token"] ?? "");
    expect(cnf).toEqual({ "x5t#S256": expect.stringMatching(/^[\w-]{43}$/) });

    const headers = { authorization: `Bearer ${json["access_token"]}` };
    const path = `/v1/delegations/${delegation}`;
    const answer = await send(`${alias}${path}`, { certified, headers });
    expect([answer.status, answer.json["id"]]).toEqual([200, delegation]);
    for (const [origin, sent] of attemptsWith(certified, headers))
      expect((await send(`${origin}${path}`, sent)).status).toBe(401);
  });

  test("[ACT-003] authorizes an action on a connection with the token's own certificate, and on no other", async () => {
    const certified = selfSigned(agent.key);
    const form = { ...exchangeOf(delegation), client_id: agent.clientId };
    const { status, json } = await send(`${alias}/token`, { certified, form });
    expect([status, json["token_type"]]).toEqual([200, "Bearer"]);
    const headers = { authorization: `Bearer ${json["access_token"]}` };
    const ask = async (origin: string, sent: Sent) => {
      const answer = await send(`${origin}/v1/authorize`, {
        json: { action: "read", scope: [scope] },
        ...sent,
      });
      return [answer.status, answer.json["decision"] ?? answer.json["code"]];
    };
    expect(await ask(alias, { certified, headers })).toEqual([200, "allow"]);
    for (const [origin, sent] of attemptsWith(certified, headers))
      expect((await ask(origin, sent))[0]).toBe(401);
    // In the scheme of the proof that it is not bound to, it is no better.
    const asProof = { certified, headers: { authorization: `DPoP ${json["access_token"]}` } };
    expect((await ask(alias, asProof))[0]).toBe(401);
    const { items } = await (await installation.operatorAt(server)).perform(listActions, {});
    expect(items).toHaveLength(1);
  });

  test("lets nobody in by another's certificate, by none, or by one in a header", async () => {
    const mine = selfSigned(agent.key);
    const attempts: [string, Sent][] = [
      [alias, {}],
      [alias, { certified: selfSigned(other.key) }],
      [alias, { certified: selfSigned((await makeKeyPair()).privateJwk) }],
      [alias, { headers: header(mine) }],
      [alias, { headers: header(mine), certified: selfSigned(other.key) }],
      [installation.issuer, { headers: header(mine) }],
      [installation.issuer, { certified: mine }],
    ];
    for (const [origin, sent] of attempts) {
      const { status, json } = await send(`${origin}/token`, { ...sent, form: grantTo(agent) });
      expect([status, json["error"]]).toEqual([401, "invalid_client"]);
    }
  });

  test("tells of the port in its metadata", async () => {
    const { json } = await send(`${installation.issuer}/.well-known/openid-configuration`);
    expect(json).toMatchObject({
      token_endpoint: `${installation.issuer}/token`,
      mtls_endpoint_aliases: { token_endpoint: `${alias}/token` },
    });
  });
});

test("[ISS-007] renewed files are shown at both ports, without a restart", async () => {
  const shownAt = async (origin: string) => (await send(`${origin}/readyz`)).server?.fingerprint256;
  const before = await shownAt(alias);
  await writeServerCertificate("renewed");
  await until("the new certificate", async () => (await shownAt(alias)) !== before);
  expect(await shownAt(installation.issuer)).toBe(await shownAt(alias));
});
