import { createHash, createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { realpathSync } from "node:fs";
import { join } from "node:path";
import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import { signDpopProof } from "@countersign/sdk/client/sign";
import { delegationTokenType } from "@countersign/sdk/contract/access-token";
import { createAgent, resumeAgent, suspendAgent } from "@countersign/sdk/contract/agents";
import { createDelegation } from "@countersign/sdk/contract/delegations";
import { createEntry, deleteEntry } from "@countersign/sdk/contract/entries";
import { listSigningKeys, taintAuthority } from "@countersign/sdk/contract/signing-keys";
import { parseSpiffeId, trustDomainOf } from "@countersign/sdk/model/spiffe-id";
import { verifyJwtSvid } from "@countersign/sdk/verify/jwt-svid";
import { parseTrustBundle } from "@countersign/sdk/verify/trust-bundle";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JWTSVIDResponse } from "../../src/workload-api/generated/workload.ts";
import { selfSigned } from "../certificate.ts";
import { audience, type Cast, castPlayers, scope } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { run } from "../cli/cli.ts";
import { depsFor, freePort, type Installation, makeInstallation, type ServerProcess } from "../server.ts";
import { ask, read, security, statusOf, workloadClient } from "../workload-api/socket.ts";
import { certificatesIn } from "./federated-houses.ts";
import { callAt } from "./node-stage.ts";

let installation: Installation;
let mtls: string;
let server: ServerProcess;
let cast: Cast;
let agent: { readonly id: string; readonly spiffeId: string };
let entry: string;
let client: ReturnType<typeof workloadClient>;
const removals: (() => Promise<void>)[] = [];
const self = `unix:uid:${process.getuid?.()}`;

beforeAll(async () => {
  const port = await freePort();
  mtls = `https://127.0.0.1:${port}`;
  const settings = { COUNTERSIGN_MTLS_PORT: String(port) };
  installation = await makeInstallation(settings, (remove) => removals.push(remove), ["--attest-own-uid"]);
  server = await installation.startServer();
  cast = await castPlayers(installation, server);
  const made = await cast.operator.perform(createAgent, {
    body: { owner: cast.alice, name: "keyless", kind: "worker" },
  });
  agent = { id: made.id, spiffeId: made.spiffe_id };
  client = workloadClient(join(installation.dataDir, "workload.sock"));
});
afterAll(async () => {
  client.close();
  for (const remove of removals) await remove();
});

async function register(): Promise<void> {
  const body = { agent: agent.id, selectors: [self], dns_names: ["agent.example"] };
  entry = (await cast.operator.perform(createEntry, { body })).id;
}

const fetchJwt = (...to: string[]) =>
  ask<JWTSVIDResponse>((respond) => client.fetchJwtsvid({ audience: to, spiffeId: "" }, security, respond));

/** The bundle as the server publishes it to everybody. */
async function published() {
  const trustDomain = trustDomainOf(parseSpiffeId(agent.spiffeId) ?? expect.unreachable());
  const document = await (await fetch(`${server.url}/spiffe/bundle`)).json();
  const bundle = parseTrustBundle(trustDomain, document);
  return { bundleOf: (asked: string) => (asked === trustDomain ? bundle : undefined), now: Date.now };
}

async function redeem(assertion: string, key: PrivateJwk, delegation: string) {
  const { issuer } = installation;
  const proof = await signDpopProof(depsFor(issuer, server), { key, method: "POST", url: `${issuer}/token` });
  const body = new URLSearchParams({
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    subject_token: delegation,
    subject_token_type: delegationTokenType,
    resource: audience,
    scope,
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe",
    client_assertion: assertion,
  });
  const response = await fetch(`${server.url}/token`, { method: "POST", body, headers: { DPoP: proof } });
  const json = (await response.json()) as { readonly [member: string]: unknown };
  return { status: response.status, json };
}

async function entriesOf(type: string): Promise<Record<string, unknown>[]> {
  const rows = await sqlOf(installation.dataDir, "SELECT entry FROM ledger_entry ORDER BY log_id, index");
  return rows.map(({ entry: text }) => JSON.parse(String(text))).filter((one) => one.type === type);
}

describe("a workload of the server's machine", () => {
  it("[SVI-003] gets nothing without an entry, and an X.509-SVID at once when there is one", async () => {
    expect(await statusOf(fetchJwt("x"))).toBe("PERMISSION_DENIED");
    const words = ["token", "--socket", join(installation.dataDir, "workload.sock"), "--delegation", "dlg_1"];
    const { exit, err } = await run(words, { COUNTERSIGN_SERVER: server.url });
    expect([exit, err]).toEqual([1, expect.stringMatching(/no agent \(PERMISSION_DENIED.*entry create/)]);
    await register();
    const stream = read(client.fetchX509Svid({}, security));
    const { svids } = await stream.next();
    const [svid] = svids;
    expect(svids).toHaveLength(1);
    expect(svid?.spiffeId).toBe(agent.spiffeId);
    const certificate = new X509Certificate(svid?.x509Svid ?? new Uint8Array());
    const { spiffeId } = await verifyX509Svid(await published(), [certificate.raw]);
    expect(spiffeId).toBe(agent.spiffeId);
    const key = createPrivateKey({ key: Buffer.from(svid?.x509SvidKey ?? []), format: "der", type: "pkcs8" });
    expect(createPublicKey(key).equals(certificate.publicKey)).toBe(true);
    expect(certificate.subjectAltName).toContain("DNS:agent.example");
    const [recorded] = await entriesOf("svid.issued");
    expect(recorded).toMatchObject({
      agent: agent.id,
      owner: cast.alice,
      attestation: "measured",
      claims_hash: expect.any(String),
      detail: { svid: "x509", entry, serial: certificate.serialNumber.toLowerCase() },
    });
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toContain('countersign_svids_held{svid="x509"} 1');
    expect(metrics).toContain("countersign_workload_api_streams 1");
    expect(metrics).toContain('duration_seconds_count{journey="svid.fetch-x509",outcome="ok"} 1');
    stream.cancel();
  });

  it("[SVI-004] without any secret gets from the socket to a redeemed delegation", async () => {
    const { svids } = await fetchJwt(installation.issuer);
    const svid = svids[0]?.svid ?? "";
    expect((await verifyJwtSvid(await published(), svid, { audience: installation.issuer })).spiffeId).toBe(
      agent.spiffeId,
    );
    const body = { from_user: cast.alice, to_agent: agent.id, resource: audience, scope: [scope] };
    const { id } = await cast.operator.perform(createDelegation, { body });
    const { privateJwk } = await makeKeyPair();
    const { status, json } = await redeem(svid, privateJwk, id);
    expect([status, json.token_type, json.scope]).toEqual([200, "DPoP", scope]);
    const issued = (await entriesOf("token.issued")).at(-1);
    expect(issued).toMatchObject({ agent: agent.id, attestation: "measured", delegation: id });
    const thief = (await makeKeyPair()).privateJwk;
    expect((await redeem(svid, thief, id)).json.error).toBe("invalid_dpop_proof");
    expect((await redeem(svid, privateJwk, id)).status).toBe(200);
  });

  it("[SPF-204] gets a token that is bound to its X.509-SVID by the handshake at the mTLS port, and none without", async () => {
    const stream = read(client.fetchX509Svid({}, security));
    const [svid] = (await stream.next()).svids;
    stream.cancel();
    const chain = certificatesIn(svid?.x509Svid ?? new Uint8Array()).map((der) => new X509Certificate(der));
    const privateKey = { key: Buffer.from(svid?.x509SvidKey ?? []), format: "der", type: "pkcs8" } as const;
    const key = createPrivateKey(privateKey).export({ format: "pem", type: "pkcs8" }).toString();
    const cert = chain.map(String).join("");
    const body = { from_user: cast.alice, to_agent: agent.id, resource: audience, scope: [scope] };
    const form = new URLSearchParams({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token: (await cast.operator.perform(createDelegation, { body })).id,
      subject_token_type: delegationTokenType,
      resource: audience,
      scope,
      client_id: agent.spiffeId,
    });
    const { status, json } = await callAt(mtls, "/token", form, { cert, key });
    expect([status, json["token_type"], json["scope"]]).toEqual([200, "Bearer", scope]);
    const thumbprint = createHash("sha256")
      .update(chain[0]?.raw ?? new Uint8Array())
      .digest("base64url");
    expect(decodeJwt(String(json["access_token"]))).toMatchObject({
      client_id: agent.spiffeId,
      cnf: { "x5t#S256": thumbprint },
    });
    expect((await entriesOf("token.issued")).at(-1)).toMatchObject({ agent: agent.id });
    const { cert: own, key: ownKey } = selfSigned((await makeKeyPair()).privateJwk, agent.spiffeId);
    for (const shown of [undefined, { cert: own, key: ownKey }]) {
      const refused = await callAt(mtls, "/token", form, shown);
      expect([refused.status, refused.json["error"]]).toEqual([401, "invalid_client"]);
    }
  });

  it("[SVI-004] gets a token by the command line, which is told the socket alone", async () => {
    const body = { from_user: cast.alice, to_agent: agent.id, resource: audience, scope: [scope] };
    const { id } = await cast.operator.perform(createDelegation, { body });
    const socket = `unix://${join(installation.dataDir, "workload.sock")}`;
    const words = ["token", "--socket", socket, "--delegation", id, "--json"];
    const { exit, out, err } = await run(words, { COUNTERSIGN_SERVER: server.url });
    expect([exit, err]).toEqual([0, ""]);
    expect(JSON.parse(out)).toMatchObject({ token_type: "DPoP", scope, token: { subject: cast.alice } });
    expect((await entriesOf("token.issued")).at(-1)).toMatchObject({
      agent: agent.id,
      attestation: "measured",
    });
  });

  it("[SVI-005] loses its SVIDs when its agent is stopped, on open streams too, and has them again when it is resumed", async () => {
    const stream = read(client.fetchX509Svid({}, security));
    await stream.next();
    await cast.operator.perform(suspendAgent, { params: { id: agent.id } });
    expect(await stream.end()).toBe("PERMISSION_DENIED");
    expect(await statusOf(fetchJwt("y"))).toBe("PERMISSION_DENIED");
    expect((await entriesOf("svid.refused")).at(-1)).toMatchObject({
      agent: agent.id,
      refusal: { code: "subject_not_active" },
    });
    await cast.operator.perform(resumeAgent, { params: { id: agent.id } });
    expect((await fetchJwt("z")).svids).toHaveLength(1);
  });

  it("[SVI-005] loses them too where the news that its agent was stopped did not come", async () => {
    const stream = read(client.fetchX509Svid({}, security));
    await stream.next();
    const becomes = (status: string) =>
      sqlOf(installation.dataDir, `UPDATE agent SET status = '${status}' WHERE id = '${agent.id}'`);
    const tellsOfMany = () =>
      sqlOf(installation.dataDir, "SELECT pg_notify('countersign_changed', '*')::text AS told");
    await becomes("suspended");
    await tellsOfMany();
    expect(await stream.end()).toBe("PERMISSION_DENIED");
    await becomes("active");
    await tellsOfMany();
    expect((await fetchJwt("after")).svids).toHaveLength(1);
  });

  it("[SVI-005] gets another X.509-SVID at once when the authority of its first is tainted", async () => {
    const stream = read(client.fetchX509Svid({}, security));
    const first = (await stream.next()).svids[0];
    const { items } = await cast.operator.perform(listSigningKeys, { query: { limit: 200 } });
    const active = items.find(({ purpose, status }) => purpose === "x509_authority" && status === "active");
    await cast.operator.perform(taintAuthority, { params: { id: active?.id ?? "" } });
    let latest = first;
    const issuerOf = (der: Uint8Array = new Uint8Array()) => new X509Certificate(der).issuer;
    while (issuerOf(latest?.x509Svid) === issuerOf(first?.x509Svid)) latest = (await stream.next()).svids[0];
    const { spiffeId } = await verifyX509Svid(await published(), [
      new X509Certificate(latest?.x509Svid ?? new Uint8Array()).raw,
    ]);
    expect(spiffeId).toBe(agent.spiffeId);
    stream.cancel();
  });

  it("[ENT-061] gets what the first entry that asks for its path says, on open streams and on others", async () => {
    const stream = read(client.fetchX509Svid({}, security));
    expect((await stream.next()).svids).toHaveLength(1);
    const body = { owner: cast.alice, name: "by path", kind: "worker" } as const;
    const other = await cast.operator.perform(createAgent, { body });
    const selectors = [self, `unix:path:${realpathSync(process.execPath)}`];
    const made = await cast.operator.perform(createEntry, { body: { agent: other.id, selectors } });
    let ids: readonly string[] = [];
    while (!ids.includes(other.spiffe_id)) ids = (await stream.next()).svids.map((svid) => svid.spiffeId);
    expect((await fetchJwt("path")).svids.map((svid) => svid.spiffeId).sort()).toEqual(
      [agent.spiffeId, other.spiffe_id].sort(),
    );
    await cast.operator.perform(deleteEntry, { params: { id: made.id } });
    while (ids.includes(other.spiffe_id)) ids = (await stream.next()).svids.map((svid) => svid.spiffeId);
    stream.cancel();
  });

  it("[SVI-005] loses its SVIDs with its entry", async () => {
    const stream = read(client.fetchX509Svid({}, security));
    await stream.next();
    await cast.operator.perform(deleteEntry, { params: { id: entry } });
    expect(await stream.end()).toBe("PERMISSION_DENIED");
  });

  it("[WLA-044] has one entry for what is refused again and again, once its minute is over or the server stops", async () => {
    const asked = { audience: [""], spiffeId: "" };
    for (let times = 0; times < 3; times++)
      expect(
        await statusOf(ask<JWTSVIDResponse>((respond) => client.fetchJwtsvid(asked, security, respond))),
      ).toBe("INVALID_ARGUMENT");
    await server.stop();
    server = await installation.startServer();
    const refusals = (await entriesOf("authentication.failed")).filter(
      ({ detail }) => (detail as { reason: string }).reason === "invalid_request",
    );
    expect(refusals).toMatchObject([
      {
        type: "authentication.failed",
        actor: { kind: "system", id: "issuer" },
        detail: { reason: "invalid_request", endpoint: "/SpiffeWorkloadAPI/FetchJWTSVID" },
        count: 3,
      },
    ]);
  });
});
