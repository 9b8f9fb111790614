import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createAccountNames, parseAccounts } from "../../../src/svid/attest/workload/account-names.ts";
import { createSystemdAttestor, unitOf } from "../../../src/svid/attest/workload/systemd.ts";
import { createUnixAttestor } from "../../../src/svid/attest/workload/unix.ts";
import { endProcesses, groupsIn, isRoot, ownGroups, someGid, someUid, startProcess } from "./process.ts";

const credentials = new URL("../../../src/svid/attest/workload/credentials.ts", import.meta.url).href;
const unix = createUnixAttestor({ now: Date.now });
const directory = realpathSync(mkdtempSync(join(tmpdir(), "attest-")));
const cat = realpathSync("/bin/cat");
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
afterEach(endProcesses);
afterAll(() => rmSync(directory, { recursive: true }));

describe("[ENT-101] the unix attestor", () => {
  it("says which user and group connected, what runs, and in which control group", async () => {
    const { peer } = await startProcess(cat, [], { uid: someUid, gid: someGid });
    const selectors = await unix.attest(peer);
    expect(selectors).toEqual(
      expect.arrayContaining([
        `unix:uid:${someUid}`,
        `unix:gid:${someGid}`,
        `unix:path:${cat}`,
        `unix:sha256:${sha256(cat)}`,
      ]),
    );
    expect(new Set(selectors).size).toBe(selectors.length);
  });

  it("names the user and the group that we run as, where the machine has a name for them", async () => {
    const { peer } = await startProcess(cat, []);
    const names = { user: createAccountNames("/etc/passwd"), group: createAccountNames("/etc/group") };
    const found = (await unix.attest(peer)).filter((each) => /^unix:(?:user|group):/.test(each));
    const known = [`user:${names.user(peer.uid)}`, `group:${names.group(peer.gid)}`];
    expect(found).toEqual(known.filter((each) => !each.endsWith("undefined")).map((each) => `unix:${each}`));
  });

  it("says each supplementary group, and none that the process lacks", async () => {
    const groups = isRoot ? [61_300, 61_301] : ownGroups;
    const change = isRoot ? `process.setgroups(${JSON.stringify(groups)});` : "";
    const { peer } = await startProcess(process.execPath, [
      "-e",
      `${change}process.stdin.pipe(process.stdout)`,
    ]);
    expect(groupsIn(await unix.attest(peer))).toEqual(groups);
  });

  it("has no name for a number with several, or whose name stands for another too", () => {
    const text =
      "root:x:0:0::/:\ntoor:x:0:0::/:\na:x:1:1::/:\nb:x:2:2::/:\nb:x:3:3::/:\n+nis::4:4::/:\nc:x:five:\n\rd:x:6:\n";
    expect([...parseAccounts(text)]).toEqual([[1, "a"]]);
  });

  // Skipped elsewhere: only the superuser may make a user namespace on every machine.
  it.runIf(isRoot)(
    "has no number for those who share one, as we see it from a user namespace of our own",
    () => {
      const code = `import { createIsExactId } from ${JSON.stringify(credentials)};
      console.log(JSON.stringify(["uid", "gid"].map((kind) => [0, 65534].map(createIsExactId(kind)))));`;
      const node = [process.execPath, "--conditions=source", "--input-type=module", "-e", code];
      const said = execFileSync("unshare", ["--user", "--map-root-user", ...node], { encoding: "utf8" });
      expect(JSON.parse(said)).toEqual([
        [true, false],
        [true, false],
      ]);
    },
  );

  it("follows a change of the names", () => {
    const file = join(directory, "passwd");
    writeFileSync(file, "one:x:7:7::/:\n");
    const nameOf = createAccountNames(file);
    expect(nameOf(7)).toBe("one");
    writeFileSync(file, "other:x:7:7::/:\n");
    expect(nameOf(7)).toBe("other");
    rmSync(file);
    expect(nameOf(7)).toBeUndefined();
  });

  it("[ENT-102] hashes a file anew once it has changed in place, though it has the same size and name", async () => {
    const file = join(directory, "agent");
    // Long after the file was last changed: the hash may be held.
    const { attest } = createUnixAttestor({ now: () => Date.now() + 60_000 });
    copyFileSync(cat, file);
    const first = await startProcess(file, [], { argv0: "cat" });
    const selectors = await attest(first.peer);
    expect(selectors).toContain(`unix:sha256:${sha256(cat)}`);
    expect(await attest(first.peer)).toEqual(selectors);
    await first.end();
    const bytes = readFileSync(file);
    // Padding at the end of the ELF identification.
    bytes[15] = 1;
    writeFileSync(file, bytes);
    const second = await startProcess(file, [], { argv0: "cat" });
    expect(sha256(file)).not.toBe(sha256(cat));
    expect(await attest(second.peer)).toContain(`unix:sha256:${sha256(file)}`);
  });
});

describe("[ENT-106] a systemd unit", () => {
  it.each([
    ["/system.slice/agent.service", "agent.service"],
    ["/system.slice/system-agent.slice/agent@one.service", "agent@one.service"],
    ["/system.slice/agent.service/worker", "agent.service"],
    ["/user.slice/user-1000.slice/session-3.scope", "session-3.scope"],
    ["/system.slice/dev-mqueue\\x2d1.mount", "dev-mqueue\\x2d1.mount"],
    ["/system.slice/_memory.service", "memory.service"],
    ["/init.scope", "init.scope"],
  ])("of %s is %s", (cgroup, unit) => expect(unitOf(cgroup)).toBe(unit));

  it.each([
    "/",
    "/system.slice",
    "/system.slice/notes.txt",
    "/docker/abc/system.slice/agent.service",
    "/lxc.payload.one/system.slice/agent.service",
    "/system.slice/agent service.service",
    `/system.slice/${"a".repeat(260)}.service`,
  ])("of %s is none", (cgroup) => expect(unitOf(cgroup)).toBeUndefined());

  it("is none for a process outside of all", async () => {
    const { peer } = await startProcess(cat, []);
    const found = await createSystemdAttestor().attest(peer);
    expect(found.every((each) => each.startsWith("systemd:unit:"))).toBe(true);
    expect(found.length).toBeLessThanOrEqual(1);
  });
});
