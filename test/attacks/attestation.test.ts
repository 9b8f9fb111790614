import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { createWorkloadAttestation } from "../../src/svid/attest/workload/attest-workload.ts";
import { mainCgroup, parseCgroups } from "../../src/svid/attest/workload/cgroups.ts";
import { exactPath } from "../../src/svid/attest/workload/executable.ts";
import { isServedByKernel, parseMounts } from "../../src/svid/attest/workload/mounts.ts";
import { podPlaceOf } from "../../src/svid/attest/workload/pod-cgroup.ts";
import { readBounded } from "../../src/svid/attest/workload/read-proc.ts";
import { unitOf } from "../../src/svid/attest/workload/systemd.ts";
import { createUnixAttestor } from "../../src/svid/attest/workload/unix.ts";
import {
  endProcesses,
  groupsIn,
  isRoot,
  ownGroups,
  someGid,
  someUid,
  startProcess,
} from "../svid/attest/process.ts";

const cat = realpathSync("/bin/cat");
const sh = realpathSync("/bin/sh");
const base = realpathSync(mkdtempSync(join(tmpdir(), "attacks-attest-")));
let directory: string;
const failures: unknown[] = [];
const unix = createUnixAttestor({ now: Date.now });
const attest = createWorkloadAttestation([unix], { onFailed: (_, error) => failures.push(error) });
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const kinds = (selectors: readonly string[]) => selectors.map((each) => each.split(":")[1]);

beforeEach(() => {
  failures.length = 0;
  directory = mkdtempSync(join(base, "one-"));
  chmodSync(directory, 0o755);
});
afterEach(endProcesses);
afterAll(() => rmSync(base, { recursive: true }));

/** A program that answers a line with the line, under any path. */
function program(name: string | Buffer, from = cat): string | Buffer {
  const path =
    typeof name === "string" ? join(directory, name) : Buffer.concat([Buffer.from(`${directory}/`), name]);
  copyFileSync(from, path);
  return path;
}

describe("[ENT-102] a process whose executable is not what lies under its path", () => {
  it("is known by the file that runs, when another was put in its place", async () => {
    const agent = join(directory, "agent");
    program("agent");
    program("trusted", sh);
    const { peer } = await startProcess(agent, [], { argv0: "cat" });
    expect(await attest(peer)).toContain(`unix:path:${agent}`);
    renameSync(join(directory, "trusted"), agent);
    const after = await attest(peer);
    expect(after).toContain(`unix:sha256:${sha256(cat)}`);
    expect(kinds(after)).not.toContain("path");
    expect(failures).toEqual([]);
  });

  it("has no path once it was removed, though there is a file of the name that the kernel shows then", async () => {
    const agent = program("agent") as string;
    program("agent (deleted)", sh);
    const { peer } = await startProcess(agent, [], { argv0: "cat" });
    rmSync(agent);
    const found = await attest(peer);
    expect(kinds(found)).not.toContain("path");
    expect(found).toContain(`unix:sha256:${sha256(cat)}`);
  });

  it("has no path either where its file is really called so", async () => {
    const { peer } = await startProcess(program("agent (deleted)") as string, [], { argv0: "cat" });
    expect(kinds(await attest(peer))).not.toContain("path");
  });

  // Skipped elsewhere: only the superuser may make a mount namespace on every machine.
  it.runIf(isRoot)("has no path of ours, when it mounted its own file there for itself", async () => {
    const trusted = program("trusted", sh) as string;
    const evil = program("evil") as string;
    const { peer } = await startProcess("unshare", [
      "--mount",
      sh,
      "-c",
      `mount --bind '${evil}' '${trusted}' && exec '${trusted}' -`,
    ]);
    const found = await attest(peer);
    expect(kinds(found)).not.toContain("path");
    expect(found).not.toContain(`unix:sha256:${sha256(trusted)}`);
    expect(found).toContain(`unix:sha256:${sha256(evil)}`);
  });

  // Skipped elsewhere: only the superuser may make a mount namespace on every machine.
  it.runIf(isRoot)("has no path of ours, when it reached its file through another's mounts", async () => {
    const trusted = program("trusted", sh) as string;
    const evil = program("evil") as string;
    const { peer: holder } = await startProcess("unshare", [
      "--mount",
      sh,
      "-c",
      `mount --bind '${evil}' '${trusted}' && exec cat`,
    ]);
    const { peer } = await startProcess(`/proc/${holder.pid}/root${trusted}`, ["-"], { argv0: "cat" });
    const found = await attest(peer);
    expect(found).toContain(`unix:uid:${peer.uid}`);
    expect(kinds(found)).not.toContain("path");
    expect(kinds(found)).not.toContain("sha256");
  });

  // Skipped elsewhere: only the superuser may make a mount namespace on every machine.
  it.runIf(isRoot)(
    "is not read from a file system that we do not have: its owner may say anything",
    async () => {
      const mount = join(directory, "mount");
      mkdirSync(mount);
      const { peer } = await startProcess("unshare", [
        "--mount",
        sh,
        "-c",
        `mount -t tmpfs none '${mount}' && cp '${cat}' '${mount}/cat' && exec '${mount}/cat'`,
      ]);
      const found = await attest(peer);
      expect(found).toContain(`unix:uid:${peer.uid}`);
      expect(kinds(found)).not.toContain("path");
      expect(kinds(found)).not.toContain("sha256");
    },
  );

  it("is not read from a file system that a process serves, whoever mounted it", () => {
    const mount = (device: string, type: string) => parseMounts(`20 1 ${device} / /a rw - ${type} a rw`);
    const own = [...mount("8:1", "ext4"), ...mount("0:50", "fuse.sshfs"), ...mount("8:2", "fuseblk")];
    const isRead = (device: string, type: string) =>
      mount(device, type).map((each) => isServedByKernel(each, own));
    expect(isRead("8:1", "ext4")).toEqual([true]);
    expect([isRead("0:50", "fuse.sshfs"), isRead("8:2", "fuseblk"), isRead("0:50", "ext4")].flat()).toEqual([
      false,
      false,
      false,
    ]);
    expect(isRead("0:77", "tmpfs")).toEqual([false]);
  });

  it("has no path where a mount of another root, device or place leads to it", () => {
    const own = parseMounts(
      "20 1 8:1 / / rw - ext4 a rw\n21 20 8:2 / /opt rw shared:1 master:2 - ext4 b rw\n22 20 8:3 /x\\040y /with\\040space rw - ext4 c rw\n",
    );
    const as = (line: string) => parseMounts(`${line} rw - ext4 a rw`)[0] as (typeof own)[number];
    expect(exactPath("/opt/agent", as("90 1 8:2 / /opt"), own)).toBe("/opt/agent");
    expect(exactPath("/with space/agent", as("90 1 8:3 /x\\040y /with\\040space"), own)).toBe(
      "/with space/agent",
    );
    expect(exactPath("/opt/agent", as("90 1 8:1 /home/eve /opt"), own)).toBeUndefined();
    expect(exactPath("/opt/agent", as("90 1 8:2 /home/eve /opt"), own)).toBeUndefined();
    expect(exactPath("/opt/agent", as("90 1 8:2 / /"), own)).toBeUndefined();
    expect(exactPath("/opt/agent", as("90 1 8:1 / /"), own)).toBeUndefined();
    expect(exactPath("/optional/agent", as("90 1 8:2 / /opt"), own)).toBeUndefined();
    expect(exactPath("(unreachable)/opt/agent", as("90 1 8:2 / /opt"), own)).toBeUndefined();
    expect(exactPath("/opt/agent", as("90 1 8:2 /gone//deleted /opt"), own)).toBeUndefined();
  });
});

describe("[ENT-103] a hostile name", () => {
  it.each(["a\nunix:uid:0", "a\runix:uid:0", "a\u202eb", "a\u200bb", "a\u2028unix:uid:0"])(
    "of a file makes no selector: %j",
    async (name) => {
      const { peer } = await startProcess(program(name) as string, [], { argv0: "cat" });
      const found = await attest(peer);
      expect(kinds(found)).not.toContain("path");
      expect(found.filter((each) => each.startsWith("unix:uid:"))).toEqual([`unix:uid:${peer.uid}`]);
    },
  );

  it.each(["a:b", "a b", "unix:uid:0", "caf\u00e9", "cafe\u0301", "a\\040b"])(
    "of a file makes its own, to the letter: %j",
    async (name) => {
      const { peer } = await startProcess(program(name) as string, [], { argv0: "cat" });
      const found = await attest(peer);
      expect(found).toContain(`unix:path:${directory}/${name}`);
      expect(found.filter((each) => each.startsWith("unix:uid:"))).toEqual([`unix:uid:${peer.uid}`]);
    },
  );

  it("that is not UTF-8 makes none, as it would look like another", async () => {
    program(Buffer.from([0x61, 0xff]));
    const link = join(directory, "link");
    symlinkSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0x61, 0xff])]), link);
    const { peer } = await startProcess(link, [], { argv0: "cat" });
    const found = await attest(peer);
    expect(kinds(found)).not.toContain("path");
    expect(found).toContain(`unix:sha256:${sha256(cat)}`);
  });

  it.each(["\\rGroups:\\t0 4", "\\rUid:\\t0\\t0", "\\nGroups:\\t0 4", ") Z 1 (\\n"])(
    "of a process adds no line to what is read: %s",
    async (name) => {
      const script = `printf '${name}' > /proc/$$/comm; read a; echo ready; read b`;
      const { peer } = await startProcess(sh, ["-c", script], { uid: someUid, gid: someGid });
      const found = await attest(peer);
      expect(failures).toEqual([]);
      expect(found).toContain(`unix:uid:${someUid}`);
      expect(groupsIn(found)).toEqual(isRoot ? [] : ownGroups);
    },
  );

  it("of a control group is told to the letter, or not at all", () => {
    const main = (text: string) => mainCgroup(parseCgroups(text));
    expect(main("0::/a:b/c d\n")).toBe("/a:b/c d");
    expect(main("1:name=systemd:/a\n0::/a\n4:memory:/other\n")).toBe("/a");
    expect(main("1:name=systemd:/a\n0::/b\n")).toBeUndefined();
    expect(main("0::/a (deleted)\n")).toBeUndefined();
    expect(main("0::/../other\n")).toBeUndefined();
    expect(main("0::/a\xff\n")).toBeUndefined();
    expect(main("0::relative\n")).toBeUndefined();
    expect(main("not a line\n")).toBeUndefined();
  });

  it("[ENT-106] of a unit of a user's own, or of a container, is not the system's", () => {
    const below = "/user.slice/user-1001.slice/user@1001.service/app.slice/agent.service";
    expect(unitOf(below)).toBe("user@1001.service");
    expect(unitOf(`/system.slice/docker-${"a".repeat(64)}.scope/system.slice/agent.service`)).toBe(
      `docker-${"a".repeat(64)}.scope`,
    );
    expect(unitOf("/docker/x/system.slice/agent.service")).toBeUndefined();
  });

  it("[ENT-107] of a group that a container or a user made is no container of another pod", () => {
    const [mine, other] = ["a", "b"].map((digit) => ({
      podUid: `${digit.repeat(8)}-0000-4000-8000-000000000000`,
      containerId: digit.repeat(64),
    })) as [{ podUid: string; containerId: string }, { podUid: string; containerId: string }];
    const pathOf = ({ podUid, containerId }: typeof mine) =>
      `/kubepods/burstable/pod${podUid}/${containerId}`;
    const place = (text: string) => podPlaceOf(parseCgroups(text));
    expect(place(`0::${pathOf(mine)}${pathOf(other)}\n`)).toEqual(mine);
    expect(place(`0::/user.slice/user-1001.slice/user@1001.service${pathOf(other)}\n`)).toBeUndefined();
    expect(place(`4:memory:${pathOf(mine)}\n5:cpu:${pathOf(other)}\n`)).toBeUndefined();
    expect(place(`0::${pathOf(mine)}/..${pathOf(other)}\n`)).toBeUndefined();
    expect(place(`0::/kubepods/burstable/pod${other.podUid}/x\n`)).toBeUndefined();
  });

  it("that is too long for what is read makes none of a part of it", () => {
    const file = join(directory, "long");
    writeFileSync(file, "0".repeat(1_000));
    expect(readBounded(file, 1_000)).toHaveLength(1_000);
    expect(readBounded(file, 999)).toBeUndefined();
  });
});
