import { X509Certificate } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { resumeAgent, suspendAgent } from "@countersign/sdk/contract/agents";
import { deleteEntry } from "@countersign/sdk/contract/entries";
import { addFederation, removeFederation } from "@countersign/sdk/contract/federation";
import { parseSpiffeId, parseTrustDomain, trustDomainOf } from "@countersign/sdk/model/spiffe-id";
import { verifyJwtSvid } from "@countersign/sdk/verify/jwt-svid";
import { formatTrustBundle, parseTrustBundle } from "@countersign/sdk/verify/trust-bundle";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readIdentity } from "../../src/node/node-identity.ts";
import { sqlOf } from "../chaos/postgres.ts";
import { run } from "../cli/cli.ts";
import { until } from "../server.ts";
import { makeAuthority } from "../svid/pki.ts";
import { read, security, statusOf } from "../workload-api/socket.ts";
import {
  endOf,
  isServed,
  jwtOf,
  type NodeProcess,
  type NodeStage,
  openNodeStage,
  shownBy,
} from "./node-stage.ts";

let stage: NodeStage;
beforeAll(async () => {
  stage = await openNodeStage();
});
afterAll(() => stage.close());

describe("a node", () => {
  let node: NodeProcess;
  let entry: string;

  it("[NOD-001] joins by a token, once, and its workloads get SVIDs for keys that never leave it", async () => {
    node = await stage.joinNode();
    const api = stage.apiOf(node);
    expect(await statusOf(jwtOf(api, "x"))).toBe("PERMISSION_DENIED");
    entry = await stage.entryFor(node.id);
    await until("an SVID", () => isServed(api));
    const { svids } = await jwtOf(api, "y");
    const trustDomain = trustDomainOf(parseSpiffeId(stage.agent.spiffeId) ?? expect.unreachable());
    const bundle = parseTrustBundle(trustDomain, JSON.parse(readFileSync(stage.bundleFile, "utf8")));
    const verified = await verifyJwtSvid({ bundleOf: () => bundle, now: Date.now }, svids[0]?.svid ?? "", {
      audience: "y",
    });
    expect(verified.spiffeId).toBe(stage.agent.spiffeId);
    const stream = read(api.fetchX509Svid({}, security));
    const [svid] = (await stream.next()).svids;
    const { subjectAltName } = new X509Certificate(svid?.x509Svid ?? new Uint8Array());
    expect(subjectAltName).toBe(`URI:${stage.agent.spiffeId}`);
    stream.cancel();
    const issued = (await stage.entriesOf("svid.issued")).findLast((one) => one["agent"] === stage.agent.id);
    expect(issued).toMatchObject({
      cause: node.id,
      attestation: "measured",
      detail: { entry },
    });
    expect((await stage.entriesOf("node.attested")).at(-1)).toMatchObject({
      target: { kind: "node", id: node.id },
      detail: { attestation: "join_token" },
    });
    expect(statSync(join(node.dataDir, "node.json")).mode & 0o777).toBe(0o600);
  });

  it("[NOD-005] hears of a stop at once, on open streams, and of going on", async () => {
    const api = stage.apiOf(node);
    const stream = read(api.fetchX509Svid({}, security));
    await stream.next();
    await stage.cast.operator.perform(suspendAgent, { params: { id: stage.agent.id } });
    expect(await endOf(stream)).toBe("PERMISSION_DENIED");
    await stage.cast.operator.perform(resumeAgent, { params: { id: stage.agent.id } });
    await until("an SVID", () => isServed(api));
  });

  it("[NOD-040] tells that it is ready, and counts what it holds, on loopback alone", async () => {
    const ready = await fetch(`${node.health}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      200,
      {
        status: "ok",
        checks: ["server", "svid", "entries"].map((name) => ({ name, ok: true })),
      },
    ]);
    expect((await fetch(`${node.health}/healthz`)).status).toBe(200);
    const metrics = await (await fetch(`${node.health}/metrics`)).text();
    expect(metrics).toMatch(/^countersign_node_server_reachable 1$/m);
    expect(metrics).toMatch(/^countersign_node_entries 1$/m);
    expect(metrics).toMatch(/^countersign_svids_held\{svid="x509"\} 1$/m);
    expect(metrics).toMatch(/^countersign_node_renewals_failed_total 0$/m);
    const { expiresAtMs } = (await readIdentity(node.dataDir)) ?? expect.unreachable();
    expect(metrics).toContain(`countersign_node_svid_expires_timestamp_seconds ${expiresAtMs / 1000}\n`);
    expect((await fetch(`${node.health}/nothing`)).status).toBe(404);
    expect((await fetch(`${node.health}/readyz`, { method: "POST" })).status).toBe(405);
    const { port } = new URL(node.health);
    const others = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    for (const { address, family, internal } of others) {
      if (internal || family !== "IPv4") continue;
      await expect(fetch(`http://${address}:${port}/healthz`)).rejects.toThrow();
    }
  });

  it("[NOD-040] uses up no join token where the port for that, or the socket, is taken", async () => {
    const joining = ["--join-token", await stage.joinToken()];
    const taken = stage.startNode(stage.directory(), ...joining, "--health-port", new URL(node.health).port);
    await expect(taken).rejects.toThrow("is taken");
    const socket = ["--socket", join(node.dataDir, "workload.sock")];
    const served = stage.startNode(stage.directory(), ...joining, ...socket);
    await expect(served).rejects.toThrow("choose another with --socket");
    const other = await stage.startNode(stage.directory(), ...joining);
    await other.kill();
  });

  it("[NOD-006] serves on while its server is away, and goes on with it when it is back", async () => {
    const api = stage.apiOf(node);
    const stream = read(api.fetchX509Svid({}, security));
    await stream.next();
    await jwtOf(api, "held");
    const isLast = (name: string) => node.events().at(-1)?.["event"] === name;
    await stage.server.current.kill();
    await until("the node to notice", () => isLast("server-away"));
    const degraded = await fetch(`${node.health}/readyz`);
    expect([degraded.status, await degraded.json()]).toMatchObject([
      200,
      {
        status: "degraded",
        checks: [
          { name: "server", ok: false, reason: expect.stringMatching(/^serving from memory since \d{4}-/) },
          { name: "svid", ok: true },
          { name: "entries", ok: true },
        ],
      },
    ]);
    const metrics = await (await fetch(`${node.health}/metrics`)).text();
    expect(metrics).toMatch(/^countersign_node_server_reachable 0$/m);
    expect((await jwtOf(api, "held")).svids).toHaveLength(1);
    const another = read(api.fetchX509Svid({}, security));
    expect((await another.next()).svids).toHaveLength(1);
    another.cancel();
    stage.server.current = await stage.installation.startServer();
    await until("the node to notice", () => isLast("server-back"));
    expect((await jwtOf(api, "fresh")).svids).toHaveLength(1);
    expect(await (await fetch(`${node.health}/readyz`)).json()).toMatchObject({ status: "ok" });
    // Who has a stream was told of nothing, and is told of what comes next.
    expect(stream.waiting()).toBe(0);
    await stage.cast.operator.perform(suspendAgent, { params: { id: stage.agent.id } });
    expect(await endOf(stream)).toBe("PERMISSION_DENIED");
    await stage.cast.operator.perform(resumeAgent, { params: { id: stage.agent.id } });
    const told = node.events().map(({ event }) => event);
    expect(told).toEqual(["ready", "server-away", "server-back"]);
  });

  it("[NOD-007] keeps its identity when it is killed and started again, without evidence", async () => {
    const shown = await shownBy(node);
    await node.kill();
    const again = await stage.startNode(node.dataDir);
    expect(again.id).toBe(node.id);
    expect(await shownBy(again)).toEqual(shown);
    node = again;
    const api = stage.apiOf(node);
    await until("an SVID", () => isServed(api));
  });

  it("[NOD-007] joins by fresh evidence where its server knows what it kept no more, and uses none up before", async () => {
    const first = await stage.joinNode();
    await first.kill();
    const token = await stage.joinToken();
    const known = await stage.startNode(first.dataDir, "--join-token", token);
    expect(known.id).toBe(first.id);
    await known.kill();
    await sqlOf(stage.installation.dataDir, `DELETE FROM node_svid WHERE node_id = '${first.id}'`);
    const withoutAny = await stage.startNode(first.dataDir);
    expect(await withoutAny.ended).toBe(1);
    const again = await stage.startNode(first.dataDir, "--join-token", token);
    expect(again.id).not.toBe(first.id);
    await again.kill();
  });

  it("[NOD-007] knows its server by the bundle that it is given, whatever it kept of an earlier run", async () => {
    const trustDomain = parseTrustDomain("other.example") ?? expect.unreachable();
    const x509Authorities = [makeAuthority("other.example").certificate];
    const other = join(stage.directory(), "other.json");
    writeFileSync(
      other,
      JSON.stringify(formatTrustBundle({ trustDomain, x509Authorities, jwtAuthorities: [] })),
    );
    await node.kill();
    const deceived = await stage.startNode(node.dataDir, "--trust-bundle", other);
    const away = () => deceived.events().find(({ event }) => event === "server-away");
    await until("the node to notice", () => away() !== undefined);
    expect(away()?.["reason"]).toMatch(/^its certificate is not one that the trust bundle/);
    await deceived.kill();
    node = await stage.startNode(node.dataDir);
    const api = stage.apiOf(node);
    await until("an SVID", () => isServed(api));
  });

  it("[NOD-001] is told the whole command to join with, at the port that asks for certificates", async () => {
    const settings = {
      COUNTERSIGN_SERVER: stage.server.current.url,
      COUNTERSIGN_DATA_DIR: stage.installation.dataDir,
    };
    const { exit, out, err } = await run(["node", "join-token"], settings);
    expect([exit, err]).toEqual([0, ""]);
    expect(out).toContain(`countersign node run --server ${stage.mtls} --join-token `);
    expect(out).toContain(`curl -s ${stage.server.current.url}/spiffe/bundle > bundle.json`);
  });

  it("[FED-020] has the foreign bundles that its entries federate with, no others, and hears of each change", async () => {
    const { operator } = stage.cast;
    const federate = async (name: string) => {
      const trustDomain = parseTrustDomain(name) ?? expect.unreachable();
      const x509Authorities = [makeAuthority(name).certificate];
      const bundle = formatTrustBundle({ trustDomain, x509Authorities, jwtAuthorities: [] });
      const endpoint = {
        endpoint_url: "https://127.0.0.1:9/",
        endpoint_spiffe_id: `spiffe://${name}/server`,
      };
      const body = { trust_domain: name, profile: "https_spiffe", bundle, allow_private: true, ...endpoint };
      await operator.perform(addFederation, { body: body as never });
      return trustDomain;
    };
    const stream = read(stage.apiOf(node).fetchX509Bundles({}, security));
    const known = async () => Object.keys((await stream.next()).bundles).sort();
    const own = `spiffe://${trustDomainOf(parseSpiffeId(stage.agent.spiffeId) ?? expect.unreachable())}`;
    expect(await known()).toEqual([own]);
    await federate("third.example");
    const other = await federate("other.example");
    const dated = await stage.entryFor(node.id, [other]);
    while ((await known()).length === 1);
    const answer = await stage.call("/v1/node/bundles", undefined, await shownBy(node));
    expect(answer.json).toMatchObject({
      items: [{}, { trust_domain: "other.example", believed_until: expect.any(String) }],
    });
    await operator.perform(removeFederation, { params: { trust_domain: other } });
    while ((await known()).length === 2);
    await operator.perform(deleteEntry, { params: { id: dated as never } });
    stream.cancel();
  });
});
