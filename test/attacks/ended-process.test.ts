import { once } from "node:events";
import { readdirSync, readFileSync, realpathSync } from "node:fs";
import type { Selector } from "@countersign/sdk/model/selector";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DomainError } from "../../src/domain/domain-error.ts";
import type { WorkloadPeer } from "../../src/domain/svid-source.ts";
import { createWorkloadAttestation } from "../../src/svid/attest/workload/attest-workload.ts";
import { createUnixAttestor } from "../../src/svid/attest/workload/unix.ts";
import { endProcesses, isRoot, peerOf, someGid, someUid, startProcess } from "../svid/attest/process.ts";

const cat = realpathSync("/bin/cat");
const failures: unknown[] = [];
const unix = createUnixAttestor({ now: Date.now });
/** So late that nothing is believed which was found out before. */
let clockMs = 0;
const later = () => {
  clockMs += 60_000;
  return clockMs;
};
const attest = createWorkloadAttestation([unix], {
  onFailed: (_, error) => failures.push(error),
  now: later,
});
const kinds = (selectors: readonly string[]) => selectors.map((each) => each.split(":")[1]);

beforeEach(() => {
  failures.length = 0;
});
afterEach(endProcesses);

describe("[ENT-104] a process that is not the one which connected", () => {
  const refusal = async (attestation: Promise<unknown>) => {
    const error = await attestation.catch((thrown: unknown) => thrown);
    return error instanceof DomainError ? error.code : error;
  };

  it("is refused when it ended while it was read", async () => {
    const { peer, end } = await startProcess(cat, []);
    const ends = { name: "ends", attest: () => end().then(() => []) };
    const both = createWorkloadAttestation([unix, ends], {
      onFailed: (_, error) => failures.push(error),
      now: later,
    });
    expect(await refusal(both(peer))).toBe("not_attested");
    expect(await refusal(attest(peer))).toBe("not_attested");
    expect(failures).toEqual([]);
  });

  it("is refused when another has its pid by now, though that one can be read", async () => {
    const { peer } = await startProcess(cat, []);
    expect(await refusal(attest({ ...peer, isAlive: () => false }))).toBe("not_attested");
    let asked = 0;
    const isAlive = () => asked++ > 0;
    expect(await refusal(attest({ ...peer, isAlive }))).toBe("not_attested");
    expect(asked).toBe(1);
    expect(failures).toEqual([]);
  });

  it("is refused as a zombie, of which there is nothing to say", async () => {
    // A shell would reap its child: it ends once the shell has become a program that does not.
    const parent = "read a; (until grep -q sleep /proc/$$/comm; do :; done) & echo $!; exec sleep 1000";
    const { said } = await startProcess("/bin/sh", ["-c", parent]);
    const pid = Number(said);
    await expect.poll(() => readFileSync(`/proc/${pid}/stat`, "latin1")).toContain(") Z ");
    expect(kinds(await unix.attest(peerOf(pid)))).not.toContain("path");
    expect(await refusal(attest(peerOf(pid)))).toBe("not_attested");
  });

  it("[ENT-060] is refused when it is of another user or group, whichever attestors read it", async () => {
    const { peer } = await startProcess(cat, [], { uid: someUid, gid: someGid });
    const read: number[] = [];
    const byPidAlone = {
      name: "by-pid",
      attest: async ({ pid }: WorkloadPeer) => {
        read.push(pid);
        return ["k8s:ns:bank" as Selector];
      },
    };
    const pods = createWorkloadAttestation([byPidAlone], {
      onFailed: () => expect.unreachable(),
      now: later,
    });
    expect(await pods(peer)).toEqual(["k8s:ns:bank"]);
    for (const other of [
      { ...peer, uid: peer.uid + 1 },
      { ...peer, gid: peer.gid + 1 },
    ]) {
      expect(await refusal(pods(other))).toBe("not_attested");
      expect(await refusal(attest(other))).toBe("not_attested");
    }
    expect([read, failures]).toEqual([[peer.pid], []]);
  });

  // Skipped elsewhere: only the superuser becomes another.
  it.runIf(isRoot)("[ENT-060] is refused when it became another user while it was read", async () => {
    const becomes = `process.stdin.once("data", () => console.log(1)).once("end", () => {
      process.setuid(${someUid}); console.log(2); setInterval(() => 0, 1000); })`;
    const { peer, child } = await startProcess(process.execPath, ["-e", becomes]);
    const switches = {
      name: "switches",
      attest: async () => {
        child.stdin.end();
        await once(child.stdout, "data");
        return ["k8s:ns:bank" as Selector];
      },
    };
    const pods = createWorkloadAttestation([switches], { onFailed: () => expect.unreachable(), now: later });
    expect(await refusal(pods(peer))).toBe("not_attested");
  });

  it("leaves no descriptor of ours open, however often it is read", async () => {
    const { peer } = await startProcess(cat, []);
    await attest(peer);
    const open = () => readdirSync("/proc/self/fd").length;
    const before = open();
    for (let round = 0; round < 200; round++) await attest(peer);
    // What else of ours was open before may have been closed meanwhile, or be open for a moment.
    await expect.poll(open).toBeLessThanOrEqual(before);
  });
});
