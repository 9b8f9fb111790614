import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { agentChecksum } from "@countersign/sdk/model/agent-configuration";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { createAgentChecksumAttestor } from "../../src/svid/attest/workload/agent-checksum.ts";
import {
  endProcesses,
  isRoot,
  keptDirectory,
  peerOf,
  someGid,
  someUid,
  startProcess,
} from "../svid/attest/process.ts";

const approved = { model: "model-1", prompt_sha256: "a".repeat(64), tools_sha256: "b".repeat(64) };
const measured = [`agent_checksum:${agentChecksum(approved)}`];
const base = mkdtempSync(join(keptDirectory, "countersign-test-"));
let directory: string;
/** Of the workload's own. */
let own: string;
let manifest: string;

beforeEach(() => {
  chmodSync(base, 0o755);
  directory = mkdtempSync(join(base, "one-"));
  chmodSync(directory, 0o755);
  manifest = join(directory, "agent.json");
  writeFileSync(manifest, JSON.stringify(approved), { mode: 0o644 });
  own = join(directory, "own");
  mkdirSync(own, { mode: 0o755 });
  chownSync(own, someUid, someGid);
});
afterEach(endProcesses);
afterAll(() => rmSync(base, { recursive: true }));

const asWorkload = { uid: someUid, gid: someGid, cwd: "/" };
const workload = (cwd = "/") => startProcess("/bin/cat", [], { ...asWorkload, cwd });
async function measuredAt(path: string, cwd?: string): Promise<readonly string[]> {
  const { peer } = await workload(cwd);
  return await createAgentChecksumAttestor({ ownUid: 0 }, path).attest(peer);
}

// Skipped elsewhere: only the superuser starts processes of others, and has files that those can't write.
describe.runIf(isRoot)("[CHK-004] a workload that would have another configuration measured", () => {
  it("can't write the manifest that counts, and what it can write counts for nothing", async () => {
    expect(await measuredAt(manifest)).toEqual(measured);
    for (const mode of [0o664, 0o646, 0o666]) {
      chmodSync(manifest, mode);
      expect(await measuredAt(manifest)).toEqual([]);
    }
    chmodSync(manifest, 0o644);
    chownSync(manifest, someUid, someGid);
    expect(await measuredAt(manifest)).toEqual([]);
  });

  it("can't write it by an access list either", async () => {
    // What an access list lets others do shows among the rights of the group.
    chmodSync(manifest, 0o664);
    chownSync(manifest, 0, 0);
    expect(await measuredAt(manifest)).toEqual([]);
  });

  it("can't put another one into its place: a directory that it can write counts for nothing", async () => {
    linkSync(manifest, join(own, "agent.json"));
    expect(await measuredAt(join(own, "agent.json"))).toEqual([]);
    expect(await measuredAt("agent.json", own)).toEqual([]);
    for (const mode of [0o777, 0o1777, 0o775]) {
      chmodSync(directory, mode);
      expect(await measuredAt(manifest)).toEqual([]);
      expect(await measuredAt("agent.json", directory)).toEqual([]);
    }
  });

  it("can't lead to another one by a link, in the place of the file or of a directory", async () => {
    symlinkSync(manifest, join(directory, "link.json"));
    expect(await measuredAt(join(directory, "link.json"))).toEqual([]);
    symlinkSync(directory, join(base, "linked"));
    expect(await measuredAt(join(base, "linked", "agent.json"))).toEqual([]);
    rmSync(join(base, "linked"));
  });

  it("can't let us wait for what is no file", async () => {
    await startProcess("sh", ["-c", `mkfifo -m 644 '${join(directory, "pipe")}' && exec cat`]);
    expect(await measuredAt(join(directory, "pipe"))).toEqual([]);
    expect(await measuredAt("/dev/zero")).toEqual([]);
    expect(await measuredAt("/proc/self/status")).toEqual([]);
  });

  it("can't mount another one over it, in a namespace of its own where it is root", async () => {
    const other = join(own, "agent.json");
    writeFileSync(other, JSON.stringify({ ...approved, model: "model-2" }), { mode: 0o644 });
    const script = `mount --bind '${manifest}' '${other}' && exec cat`;
    const start = () =>
      startProcess("unshare", ["--user", "--map-root-user", "--mount", "sh", "-c", script], asWorkload);
    const { peer } = await start();
    // What it sees there is the manifest of the superuser's, where it has its own.
    expect(JSON.parse(readFileSync(`/proc/${peer.pid}/root${other}`, "utf8"))).toEqual(approved);
    const attest = (path: string) => createAgentChecksumAttestor({ ownUid: 0 }, path).attest(peer);
    expect(await attest(other)).toEqual([]);
    expect(await attest(manifest)).toEqual([]);
  });

  it("can't have it on a file system that we do not have", async () => {
    const mount = join(directory, "mount");
    mkdirSync(mount);
    const script = `mount -t tmpfs -o mode=755 none '${mount}' && cp '${manifest}' '${mount}/agent.json' &&
      exec setpriv --reuid ${someUid} --regid ${someGid} --clear-groups cat`;
    const { peer } = await startProcess("unshare", ["--mount", "sh", "-c", script]);
    const its = { ...peer, uid: someUid, gid: someGid };
    expect(await createAgentChecksumAttestor({ ownUid: 0 }, manifest).attest(its)).toEqual(measured);
    const there = createAgentChecksumAttestor({ ownUid: 0 }, join(mount, "agent.json"));
    expect(await there.attest(its)).toEqual([]);
  });

  it("can't reach another one through the working directory of a process elsewhere", async () => {
    const mount = join(own, "mount");
    mkdirSync(mount);
    const script = `mount --bind '${directory}' '${mount}' && exec cat`;
    const { peer: holder } = await startProcess("unshare", ["--mount", "sh", "-c", script]);
    expect(await measuredAt("agent.json", `/proc/${holder.pid}/root${mount}`)).toEqual([]);
  });

  it("has none measured where it is root, or has privileges", async () => {
    const attestor = createAgentChecksumAttestor({ ownUid: 0 }, manifest);
    const { peer: root } = await startProcess("/bin/cat", []);
    expect(await attestor.attest(root)).toEqual([]);
    const user = ["--reuid", String(someUid), "--regid", String(someGid), "--clear-groups"];
    const capable = ["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override", "cat"];
    const { peer } = await startProcess("setpriv", [...user, ...capable]);
    expect(await attestor.attest({ ...peer, uid: someUid, gid: someGid })).toEqual([]);
    const saved = await startProcess("setpriv", [
      "--euid",
      String(someUid),
      "--egid",
      String(someGid),
      "--clear-groups",
      "cat",
    ]);
    expect(await attestor.attest({ ...saved.peer, uid: someUid, gid: someGid })).toEqual([]);
  });

  it("has none of what another process has: one that became another since is found out", async () => {
    const { peer, end } = await workload();
    const attestor = createAgentChecksumAttestor({ ownUid: 0 }, manifest);
    await expect(attestor.attest({ ...peer, uid: someUid + 1 })).rejects.toThrow("changed its uid");
    await end();
    expect(await attestor.attest(peerOf(peer.pid, someUid, someGid))).toEqual([]);
  });

  it("leaves no descriptor of ours open, whatever is found", async () => {
    const { peer } = await workload();
    symlinkSync(manifest, join(directory, "link.json"));
    const paths = [
      manifest,
      join(directory, "link.json"),
      join(directory, "none"),
      join(own, "x"),
      directory,
    ];
    const attestors = paths.map((path) => createAgentChecksumAttestor({ ownUid: 0 }, path));
    const before = readdirSync("/proc/self/fd").length;
    for (let round = 0; round < 50; round++) for (const attestor of attestors) await attestor.attest(peer);
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  });
});
