import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UnreachableError } from "@countersign/sdk/client/client-error";
import { describe, expect, it, onTestFinished } from "vitest";
import { type NodeOptions, type RunningNode, runNode } from "../../src/app/run-node.ts";
import { SocketTakenError } from "../../src/workload-api/listen.ts";
import { run } from "./cli.ts";

const server = ["node", "run", "--server", "https://id.example.org:8461"];

/** Runs `node run` with a node that serves until it is asked to end, which is at once. */
async function nodeRun(...words: string[]) {
  const started: NodeOptions[] = [];
  const runNothing = async (options: NodeOptions): Promise<RunningNode> => {
    started.push(options);
    // Of its identity two things are told, and as they are.
    const identity = { node: "nod_1", spiffeId: "spiffe://example.org/x" } as RunningNode["identity"];
    return {
      identity,
      socketPath: "/run/w.sock",
      healthPort: options.healthPort,
      close: async () => undefined,
    };
  };
  return { ...(await run([...server, ...words], {}, { runNode: runNothing })), options: started[0] };
}

describe("node run", () => {
  it("serves its health at a port of loopback's, any free one, or nowhere", async () => {
    const usual = await nodeRun();
    expect(usual.options).toMatchObject({ healthPort: 8462, measure: undefined });
    expect(usual.out).toContain("http://127.0.0.1:8462/readyz");
    const none = await nodeRun("--health-port", "none", "--json");
    expect(none.options?.healthPort).toBeUndefined();
    expect(JSON.parse(none.out)).not.toHaveProperty("health_port");
    const any = await nodeRun("--health-port", "0", "--json");
    expect(JSON.parse(any.out)).toMatchObject({ event: "ready", health_port: 0 });
  });

  it.each(["x", "-1", "65536", "84.6", ""])("takes %j for no port", async (port) => {
    const { exit, err, options } = await nodeRun(`--health-port=${port}`);
    expect([exit, options]).toEqual([2, undefined]);
    expect(err).toContain("--health-port");
  });

  it("measures where it is told to, by a path that can be walked down", async () => {
    const { options } = await nodeRun("--measure", "/etc/agent.json");
    expect(options?.measure).toBe("/etc/agent.json");
    expect((await nodeRun("--measure", "/etc/../agent.json")).exit).toBe(2);
  });

  it("says which port is taken, and how to choose another", async () => {
    const taken = Object.assign(new Error("listen"), { code: "EADDRINUSE", port: 8462 });
    const { exit, err } = await run(server, {}, { runNode: () => Promise.reject(taken) });
    expect(exit).toBe(1);
    expect(err).toMatch(/port 8462 is taken: .*--health-port/);
  });

  it.each([
    [
      "a certificate",
      [],
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      /answers, but its certificate is not one that --ca lets in/,
    ],
    [
      "a certificate of its own",
      [],
      "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
      /^countersign: .* refuses this machine's certificate, or that it shows none; see --server$/,
    ],
    ["no TLS", [], "EPROTO", /^countersign: .* no TLS in common: .*--server$/],
    [
      "silence",
      [],
      "ECONNREFUSED",
      /^countersign: no server answers at https:\/\/id\.example\.org:8461: see --server$/,
    ],
  ])("tells %s apart, in one line", async (_what, words, code, expected) => {
    const failed = Object.assign(new Error("several\nlines"), { code });
    const error = new UnreachableError("https://id.example.org:8461", failed);
    const { exit, err } = await run([...server, ...words], {}, { runNode: () => Promise.reject(error) });
    expect(exit).toBe(1);
    expect(err).toMatch(expected);
    expect(err).not.toContain("\n");
  });

  it("reads certificates, or nothing, for authorities", async () => {
    const { exit, err } = await nodeRun("--ca", "package.json");
    expect([exit, err]).toEqual([
      2,
      expect.stringContaining("--ca: package.json holds no certificate in PEM"),
    ]);
  });

  it("[SVI-060] gives no SVID to its own account where the server is on another machine", async () => {
    const { exit, err } = await nodeRun("--attest-own-uid");
    expect([exit, err]).toEqual([2, expect.stringContaining("--attest-own-uid is for trying it out")]);
  });

  it("says who has the socket, and how to choose another", async () => {
    const taken = new SocketTakenError("/run/w.sock is served by another server");
    const { exit, err } = await run(server, {}, { runNode: () => Promise.reject(taken) });
    expect([exit, err]).toEqual([1, `countersign: ${taken.message}: choose another with --socket`]);
  });

  it("keeps nothing where others could put or replace things", async () => {
    const dataDir = mkdtempSync(join(tmpdir(), `countersign-test-${process.pid}-`));
    onTestFinished(() => rmSync(dataDir, { recursive: true }));
    chmodSync(dataDir, 0o777);
    const { exit, err } = await run([...server, "--data-dir", dataDir], {}, { runNode });
    expect(exit).toBe(2);
    expect(err).toContain("can be written to by other users");
  });
});
