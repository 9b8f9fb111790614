import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createAgent } from "@countersign/sdk/contract/agents";
import { createEntry } from "@countersign/sdk/contract/entries";
import { createJoinToken } from "@countersign/sdk/contract/nodes";
import { parseId } from "@countersign/sdk/model/ids";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { expect } from "vitest";
import { childEnvironment } from "../../src/config.ts";
import { base64Of } from "../../src/domain/base64.ts";
import { certificatePem, keyPem, readIdentity } from "../../src/node/node-identity.ts";
import { newKeyPair } from "../../src/svid/key-pair.ts";
import type { JWTSVIDResponse } from "../../src/workload-api/generated/workload.ts";
import { type Cast, castPlayers } from "../chaos/cast.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { freePort, type Installation, makeInstallation, type ServerProcess, until } from "../server.ts";
import { ask, read, security, workloadClient } from "../workload-api/socket.ts";

const main = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
export const self = `unix:uid:${process.getuid?.()}`;

/** A node, run as anybody would run it. */
export interface NodeProcess {
  readonly id: string;
  readonly dataDir: string;
  /** Where it tells of its health. */
  readonly health: string;
  readonly events: () => readonly Record<string, unknown>[];
  readonly ended: Promise<number | null>;
  /** kill -9. */
  readonly kill: () => Promise<unknown>;
}

export interface Shown {
  readonly cert: string;
  readonly key: string;
}

export type NodeStage = Awaited<ReturnType<typeof openNodeStage>>;

/** A server with a port that asks for certificates, its players, an agent without a key, and nodes as processes. */
export async function openNodeStage(
  settings: Readonly<Record<string, string>> = {},
  serveOptions: readonly string[] = [],
  nodeOptions: readonly string[] = ["--attest-own-uid"],
) {
  const removals: (() => Promise<void>)[] = [];
  const children: ChildProcess[] = [];
  const port = await freePort();
  const mtls = `https://127.0.0.1:${port}`;
  const installation: Installation = await makeInstallation(
    { COUNTERSIGN_MTLS_PORT: String(port), ...settings },
    (remove) => removals.push(remove),
    serveOptions,
  );
  const server: { current: ServerProcess } = { current: await installation.startServer() };
  const cast: Cast = await castPlayers(installation, () => server.current);
  const bundleFile = join(directory(), "bundle.json");
  writeFileSync(bundleFile, await (await fetch(`${server.current.url}/spiffe/bundle`)).text());
  const made = await cast.operator.perform(createAgent, {
    body: { owner: cast.alice, name: "keyless", kind: "worker" },
  });
  const agent = { id: made.id, spiffeId: made.spiffe_id };

  function directory(): string {
    const path = mkdtempSync(join(tmpdir(), `countersign-test-${process.pid}-`));
    removals.push(async () => rmSync(path, { recursive: true, force: true }));
    return path;
  }

  async function startNode(dataDir: string, ...words: string[]): Promise<NodeProcess> {
    const options = ["--server", mtls, "--trust-bundle", bundleFile, "--data-dir", dataDir];
    const child = spawn(
      process.execPath,
      [main, "node", "run", "--json", ...nodeOptions, "--health-port", "0", ...options, ...words],
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
    const health = `http://127.0.0.1:${ready["health_port"]}`;
    return { id: String(ready["node"]), dataDir, health, events, ended, kill };
  }

  async function joinToken(expires_in = 600): Promise<string> {
    return (await cast.operator.perform(createJoinToken, { body: { name: "n", expires_in } })).token;
  }

  return {
    installation,
    server,
    cast,
    mtls,
    bundleFile,
    agent,
    directory,
    startNode,
    joinToken,
    joinNode: async (...words: string[]) =>
      startNode(directory(), "--join-token", await joinToken(), ...words),
    apiOf: ({ dataDir }: NodeProcess) => {
      const client = workloadClient(join(dataDir, "workload.sock"));
      removals.push(async () => client.close());
      return client;
    },
    entryFor: async (parent: string | undefined, federates_with: TrustDomain[] = []) => {
      const node = parent === undefined ? undefined : (parseId("node", parent) ?? expect.unreachable());
      // Two of one agent differ in what they ask.
      const selectors = federates_with.length === 0 ? [self] : [self, `unix:gid:${process.getgid?.()}`];
      const body = { agent: agent.id, selectors, parent: node, federates_with };
      return (await cast.operator.perform(createEntry, { body })).id;
    },
    /** Asks the server at the port that asks for certificates, with whatever certificate. */
    call: (path: string, body: unknown, shown?: Shown) => callAt(mtls, path, body, shown),
    entriesOf: async (type: string): Promise<Record<string, unknown>[]> => {
      const sql = "SELECT entry FROM ledger_entry ORDER BY log_id, index";
      const rows = await sqlOf(installation.dataDir, sql);
      return rows.map(({ entry: text }) => JSON.parse(String(text))).filter((one) => one.type === type);
    },
    async close() {
      for (const child of children) child.kill("SIGKILL");
      for (const remove of removals.reverse()) await remove();
    },
  };
}

/** Asks at a port that asks for certificates. */
export async function callAt(origin: string, path: string, body: unknown, shown?: Shown) {
  const isForm = body instanceof URLSearchParams;
  const text = body === undefined || isForm ? body?.toString() : JSON.stringify(body);
  const sent = request(new URL(path, origin), {
    method: text === undefined ? "GET" : "POST",
    // Who serves is not what these requests are about.
    rejectUnauthorized: false,
    headers: {
      "content-type": isForm ? "application/x-www-form-urlencoded" : "application/json",
      accept: "application/json",
    },
    ...shown,
  });
  sent.end(text);
  const [response] = await once(sent, "response");
  let answer = "";
  for await (const chunk of response) answer += chunk;
  const json: Record<string, unknown> = JSON.parse(answer);
  return { status: Number(response.statusCode), json };
}

/** What a node shows in the handshake, as its directory has it. */
export async function shownBy({ dataDir }: Pick<NodeProcess, "dataDir">): Promise<Shown> {
  const identity = (await readIdentity(dataDir)) ?? expect.unreachable();
  return {
    cert: identity.certificates.map(certificatePem).join(""),
    key: keyPem(identity.privateKey),
  };
}

export const jwtOf = (client: ReturnType<typeof workloadClient>, to: string) =>
  ask<JWTSVIDResponse>((respond) => client.fetchJwtsvid({ audience: [to], spiffeId: "" }, security, respond));

export const attestBody = (token: string) => ({
  public_key: base64Of(newKeyPair().publicKey),
  evidence: { kind: "join_token", token },
});

/** Whether a workload gets an X.509-SVID now. */
export async function isServed(client: ReturnType<typeof workloadClient>): Promise<boolean> {
  const stream = read(client.fetchX509Svid({}, security));
  const first = await stream.next().catch(() => undefined);
  stream.cancel();
  return first !== undefined;
}

/** How a stream ends that may have more to say before. */
export async function endOf(stream: ReturnType<typeof read>): Promise<string> {
  for (let more = true; more; )
    more = await stream.next().then(
      () => true,
      () => false,
    );
  return stream.end();
}
