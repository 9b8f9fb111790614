import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { agentChecksum } from "@countersign/sdk/model/agent-configuration";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createAgentChecksumAttestor,
  isManifestPath,
} from "../../../src/svid/attest/workload/agent-checksum.ts";
import { endProcesses, isRoot, keptDirectory, someGid, someUid, startProcess } from "./process.ts";

const configuration = { model: "model-1", prompt_sha256: "a".repeat(64), tools_sha256: "b".repeat(64) };
const measured = [`agent_checksum:${agentChecksum(configuration)}`];
const base = mkdtempSync(join(keptDirectory, "countersign-test-"));
let directory: string;
let manifest: string;

beforeEach(() => {
  chmodSync(base, 0o755);
  directory = mkdtempSync(join(base, "one-"));
  chmodSync(directory, 0o755);
  manifest = join(directory, "agent.json");
  writeFileSync(manifest, JSON.stringify(configuration, undefined, 2), { mode: 0o644 });
});
afterEach(endProcesses);
afterAll(() => rmSync(base, { recursive: true }));

const workload = (cwd = "/") => startProcess("/bin/cat", [], { uid: someUid, gid: someGid, cwd });
const attestorAt = (path: string, ownUid = 0) => createAgentChecksumAttestor({ ownUid }, path);
async function measuredAt(path: string, cwd?: string): Promise<readonly string[]> {
  const { peer } = await workload(cwd);
  return await attestorAt(path).attest(peer);
}

describe("the path of a manifest", () => {
  it.each([
    ["/etc/agent.json", true],
    ["agent.json", true],
    ["a/b.json", true],
    ["/", false],
    ["", false],
    ["/etc/", false],
    ["/etc//agent.json", false],
    ["../agent.json", false],
    ["/etc/./agent.json", false],
    ["/etc/a\0b", false],
  ])("[CHK-004] %j: %s", (path, expected) => {
    expect(isManifestPath(path)).toBe(expected);
  });
});

// Skipped elsewhere: only the superuser starts processes of others, and has files that those can't write.
describe.runIf(isRoot)("[CHK-004] the configuration of a workload", () => {
  it("is what the manifest says, at an absolute path and below its working directory", async () => {
    expect(await measuredAt(manifest)).toEqual(measured);
    expect(await measuredAt("agent.json", directory)).toEqual(measured);
    mkdirSync(join(directory, "etc"), { mode: 0o755 });
    writeFileSync(join(directory, "etc/agent.json"), JSON.stringify(configuration), { mode: 0o644 });
    expect(await measuredAt("etc/agent.json", directory)).toEqual(measured);
  });

  it("is what a file of our own account says too, and of nobody else", async () => {
    const ours = someUid + 1;
    chownSync(manifest, ours, 0);
    const { peer } = await workload();
    expect(await attestorAt(manifest, ours).attest(peer)).toEqual(measured);
    expect(await attestorAt(manifest).attest(peer)).toEqual([]);
  });

  it("is unknown where there is no manifest, or none where it is looked for", async () => {
    expect(await measuredAt(join(directory, "other.json"))).toEqual([]);
    expect(await measuredAt(join(manifest, "agent.json"))).toEqual([]);
    expect(await measuredAt("agent.json")).toEqual([]);
    expect(await measuredAt(directory)).toEqual([]);
  });

  it.each<[string, string | Buffer]>([
    ["is no JSON", "{"],
    ["is of another shape", JSON.stringify({ ...configuration, more: 1 })],
    ["begins with a byte order mark", `\ufeff${JSON.stringify(configuration)}`],
    ["is no UTF-8", Buffer.from([0x22, 0xff, 0x22])],
  ])("is unknown, and that told, where the manifest %s", async (_name, text) => {
    writeFileSync(manifest, text);
    await expect(measuredAt(manifest)).rejects.toThrow();
  });

  it("is unknown where the manifest is longer than what is read", async () => {
    writeFileSync(manifest, JSON.stringify(configuration) + " ".repeat(16_384));
    expect(await measuredAt(manifest)).toEqual([]);
  });
});
