import { type ChildProcess, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createAgent, resumeAgent, suspendAgent } from "@countersign/sdk/contract/agents";
import { createEntry, deleteEntry } from "@countersign/sdk/contract/entries";
import { createJoinToken, evictNode, getNode } from "@countersign/sdk/contract/nodes";
import { parseId } from "@countersign/sdk/model/ids";
import { parseSpiffeId, trustDomainOf } from "@countersign/sdk/model/spiffe-id";
import { verifyJwtSvid } from "@countersign/sdk/verify/jwt-svid";
import { parseTrustBundle } from "@countersign/sdk/verify/trust-bundle";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { childEnvironment } from "../../src/config.ts";
import { newNodeKey } from "../../src/node/join.ts";
import { base64Of, certificatePem, keyPem, readIdentity } from "../../src/node/node-identity.ts";
import type { JWTSVIDResponse } from "../../src/workload-api/generated/workload.ts";
import { type Cast, castPlayers } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { freePort, type Installation, makeInstallation, type ServerProcess, until } from "../server.ts";
import { ask, read, security, statusOf, workloadClient } from "../workload-api/socket.ts";

const main = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const self = `unix:uid:${process.getuid?.()}`;
let installation: Installation;
let server: ServerProcess;
let cast: Cast;
let mtls: string;
let bundleFile: string;
let agent: { readonly id: string; readonly spiffeId: string };
const removals: (() => Promise<void>)[] = [];

/** A node, run as anybody would run it. */
interface NodeProcess {
  readonly id: string;
  readonly dataDir: string;
  readonly events: () => readonly Record<string, unknown>[];
  readonly ended: Promise<number | null>;
  readonly kill: () => Promise<unknown>;
}

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), `countersign-test-${process.pid}-`));
  removals.push(async () => rmSync(made, { recursive: true, force: true }));
  return made;
}

const children: ChildProcess[] = [];

async function startNode(dataDir: string, ...words: string[]): Promise<NodeProcess> {
  const options = ["--server", mtls, "--trust-bundle", bundleFile, "--data-dir", dataDir];
  const child = spawn(
    process.execPath,
    [main, "node", "run", "--json", "--attest-own-uid", ...options, ...words],
    { env: childEnvironment({ COUNTERSIGN_LOG_LEVEL: "warn" }), stdio: ["ignore", "pipe", "pipe"] },
  );
  children.push(child);
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  const ended = once(child, "exit").then(([code]): number | null => code);
  const events = () =>
    out
      .split("\n")
      .filter(Boolean)
      .map((line): Record<string, unknown> => JSON.parse(line));
  await until("the node", () => out.includes("\n") || child.exitCode !== null);
  const ready = events().find(({ event }) => event === "ready");
  if (ready === undefined) throw new Error(`the node did not start: ${out} ${err}`);
  const kill = async () => {
    child.kill("SIGKILL");
    return ended;
  };
  return { id: String(ready["node"]), dataDir, events, ended, kill };
}

async function joinToken(expires_in = 600): Promise<string> {
  return (await cast.operator.perform(createJoinToken, { body: { name: "n", expires_in } })).token;
}

const join1 = async () => startNode(directory(), "--join-token", await joinToken());
const apiOf = ({ dataDir }: NodeProcess) => {
  const client = workloadClient(join(dataDir, "workload.sock"));
  removals.push(async () => client.close());
  return client;
};
const jwtOf = (client: ReturnType<typeof workloadClient>, to: string) =>
  ask<JWTSVIDResponse>((respond) => client.fetchJwtsvid({ audience: [to], spiffeId: "" }, security, respond));

const entryFor = async (parent: string | undefined) => {
  const node = parent === undefined ? undefined : (parseId("node", parent) ?? expect.unreachable());
  const body = { agent: agent.id, selectors: [self], parent: node };
  return (await cast.operator.perform(createEntry, { body })).id;
};

/** Asks the server at the port that asks for certificates, with whatever certificate. */
async function call(
  path: string,
  body: unknown,
  shown?: { readonly cert: string; readonly key: string },
): Promise<{ readonly status: number; readonly json: Record<string, unknown> }> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const sent = request(new URL(path, mtls), {
    method: text === undefined ? "GET" : "POST",
    // Who serves is not what these requests are about.
    rejectUnauthorized: false,
    headers: { "content-type": "application/json", accept: "application/json" },
    ...shown,
  });
  sent.end(text);
  const [response] = await once(sent, "response");
  let answer = "";
  for await (const chunk of response) answer += chunk;
  return { status: response.statusCode, json: JSON.parse(answer) };
}

async function shownBy({ dataDir }: Pick<NodeProcess, "dataDir">) {
  const identity = (await readIdentity(dataDir)) ?? expect.unreachable();
  return {
    cert: identity.certificates.map(certificatePem).join(""),
    key: keyPem(identity.privateKey),
  };
}

const attestBody = (token: string) => ({
  public_key: base64Of(newNodeKey().publicKey),
  evidence: { kind: "join_token", token },
});

async function entriesOf(type: string): Promise<Record<string, unknown>[]> {
  const rows = await sqlOf(installation.dataDir, "SELECT entry FROM ledger_entry ORDER BY log_id, index");
  return rows.map(({ entry: text }) => JSON.parse(String(text))).filter((one) => one.type === type);
}

beforeAll(async () => {
  const port = await freePort();
  mtls = `https://127.0.0.1:${port}`;
  const settings = { COUNTERSIGN_MTLS_PORT: String(port) };
  installation = await makeInstallation(settings, (remove) => removals.push(remove));
  server = await installation.startServer();
  cast = await castPlayers(installation, server);
  bundleFile = join(directory(), "bundle.json");
  writeFileSync(bundleFile, await (await fetch(`${server.url}/spiffe/bundle`)).text());
  const made = await cast.operator.perform(createAgent, {
    body: { owner: cast.alice, name: "keyless", kind: "worker" },
  });
  agent = { id: made.id, spiffeId: made.spiffe_id };
});
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  for (const remove of removals.reverse()) await remove();
});

describe("a node", () => {
  let node: NodeProcess;
  let entry: string;

  it("[NOD-001] joins by a token, once, and its workloads get SVIDs for keys that never leave it", async () => {
    node = await join1();
    const api = apiOf(node);
    expect(await statusOf(jwtOf(api, "x"))).toBe("PERMISSION_DENIED");
    entry = await entryFor(node.id);
    await until("an SVID", async () => (await statusOf(jwtOf(api, "x"))) === "OK");
    const { svids } = await jwtOf(api, "y");
    const trustDomain = trustDomainOf(parseSpiffeId(agent.spiffeId) ?? expect.unreachable());
    const bundle = parseTrustBundle(trustDomain, JSON.parse(readFileSync(bundleFile, "utf8")));
    const verified = await verifyJwtSvid({ bundleOf: () => bundle, now: Date.now }, svids[0]?.svid ?? "", {
      audience: "y",
    });
    expect(verified.spiffeId).toBe(agent.spiffeId);
    const stream = read(api.fetchX509Svid({}, security));
    const [svid] = (await stream.next()).svids;
    const { subjectAltName } = new X509Certificate(svid?.x509Svid ?? new Uint8Array());
    expect(subjectAltName).toBe(`URI:${agent.spiffeId}`);
    stream.cancel();
    const issued = (await entriesOf("svid.issued")).findLast((one) => one["agent"] === agent.id);
    expect(issued).toMatchObject({
      cause: node.id,
      attestation: "measured",
      detail: { entry },
    });
    expect((await entriesOf("node.attested")).at(-1)).toMatchObject({
      target: { kind: "node", id: node.id },
      detail: { attestation: "join_token" },
    });
    expect(statSync(join(node.dataDir, "node.json")).mode & 0o777).toBe(0o600);
  });

  it("[NOD-005] hears of a stop at once, on open streams, and of going on", async () => {
    const api = apiOf(node);
    const stream = read(api.fetchX509Svid({}, security));
    await stream.next();
    await cast.operator.perform(suspendAgent, { params: { id: agent.id } });
    expect(await stream.end()).toBe("PERMISSION_DENIED");
    await cast.operator.perform(resumeAgent, { params: { id: agent.id } });
    await until("an SVID", async () => (await statusOf(jwtOf(api, "x"))) === "OK");
  });

  it("[NOD-006] serves on while its server is away, and goes on with it when it is back", async () => {
    const api = apiOf(node);
    const stream = read(api.fetchX509Svid({}, security));
    await stream.next();
    await jwtOf(api, "held");
    await server.kill();
    await until("the node to notice", () => node.events().some(({ event }) => event === "server-away"));
    expect((await jwtOf(api, "held")).svids).toHaveLength(1);
    const another = read(api.fetchX509Svid({}, security));
    expect((await another.next()).svids).toHaveLength(1);
    another.cancel();
    server = await installation.startServer();
    await until("the node to notice", () => node.events().some(({ event }) => event === "server-back"));
    expect((await jwtOf(api, "fresh")).svids).toHaveLength(1);
    await cast.operator.perform(suspendAgent, { params: { id: agent.id } });
    expect(await stream.end()).toBe("PERMISSION_DENIED");
    await cast.operator.perform(resumeAgent, { params: { id: agent.id } });
  });

  it("[NOD-007] keeps its identity when it is killed and started again, without evidence", async () => {
    await node.kill();
    const again = await startNode(node.dataDir);
    expect(again.id).toBe(node.id);
    node = again;
    const api = apiOf(node);
    await until("an SVID", async () => (await statusOf(jwtOf(api, "x"))) === "OK");
  });

  it("[NOD-002] gets SVIDs for its own entries alone: not another node's, nor the server's", async () => {
    const other = await join1();
    const shown = await shownBy(other);
    const servers = await entryFor(undefined);
    for (const foreign of [entry, servers]) {
      const public_key = base64Of(newNodeKey().publicKey);
      const { json } = await call("/v1/node/x509-svids", { items: [{ entry: foreign, public_key }] }, shown);
      expect(json).toEqual({ items: [{ entry: foreign, refused: "not_found" }] });
      const jwt = await call("/v1/node/jwt-svids", { entry: foreign, audience: ["x"] }, shown);
      expect([jwt.status, jwt.json["code"]]).toEqual([404, "not_found"]);
    }
    expect((await call("/v1/node/entries", undefined, shown)).json).toMatchObject({ items: [], ended: [] });
    await cast.operator.perform(deleteEntry, { params: { id: servers } });
    await other.kill();
  });

  it("[NOD-003] is known by its X.509-SVID alone, and is nobody at the token endpoint", async () => {
    expect((await call("/v1/node/entries", undefined)).status).toBe(401);
    const api = apiOf(node);
    const stream = read(api.fetchX509Svid({}, security));
    const [svid] = (await stream.next()).svids;
    stream.cancel();
    // A workload's, on this very node, is no node's.
    const workload = {
      cert: certificatePem(svid?.x509Svid ?? new Uint8Array()),
      key: keyPem(svid?.x509SvidKey ?? new Uint8Array()),
    };
    expect((await call("/v1/node/entries", undefined, workload)).status).toBe(401);
    const shown = await shownBy(node);
    const identity = (await readIdentity(node.dataDir)) ?? expect.unreachable();
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: identity.spiffeId,
      resource: `${installation.issuer}/v1`,
      scope: "admin",
    });
    const sent = request(new URL("/token", mtls), {
      method: "POST",
      rejectUnauthorized: false,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      ...shown,
    });
    sent.end(form.toString());
    const [response] = await once(sent, "response");
    expect(response.statusCode).toBe(401);
  });

  it("[NOD-004] joins once by one token: not again, not two at once, not with one that is over", async () => {
    const token = await joinToken();
    const both = await Promise.all([1, 2].map(() => call("/v1/node/attest", attestBody(token))));
    expect(both.map(({ status }) => status === 200).sort()).toEqual([false, true]);
    const later = await call("/v1/node/attest", attestBody(token));
    expect([later.status, later.json["code"]]).toEqual([403, "not_attested"]);
    expect((await call("/v1/node/attest", attestBody("made-up"))).status).toBe(403);
    const over = await joinToken();
    await sqlOf(installation.dataDir, "UPDATE join_token SET expires_at = now() - interval '1 s'");
    expect((await call("/v1/node/attest", attestBody(over))).status).toBe(403);
    const text = JSON.stringify(await entriesOf("join_token.created"));
    expect(text).not.toContain(token);
  });

  it("[NOD-008] gets nothing more once it is evicted, and ends", async () => {
    const id = parseId("node", node.id) ?? expect.unreachable();
    const shown = await shownBy(node);
    const api = apiOf(node);
    const stream = read(api.fetchX509Svid({}, security));
    await stream.next();
    await cast.operator.perform(evictNode, { params: { id } });
    expect(await node.ended).toBe(1);
    expect(["PERMISSION_DENIED", "UNAVAILABLE"]).toContain(await stream.end());
    for (const path of ["/v1/node/renew", "/v1/node/x509-svids"]) {
      const { status, json } = await call(path, {}, shown);
      expect([status, json["code"]]).toEqual([403, "not_attested"]);
    }
    expect((await cast.operator.perform(getNode, { params: { id } })).status).toBe("evicted");
    const refused = (body: object) => cast.operator.perform(createEntry, { body: body as never });
    await expect(refused({ agent: agent.id, selectors: [self], parent: id })).rejects.toMatchObject({
      code: "subject_not_active",
    });
  });
});
