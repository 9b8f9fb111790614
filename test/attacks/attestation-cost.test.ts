import { realpathSync } from "node:fs";
import { expect, it } from "vitest";
import type { CostlyKind } from "../../src/domain/entry-index.ts";
import { createWorkloadAttestation } from "../../src/svid/attest/workload/attest-workload.ts";
import { createUnixAttestor } from "../../src/svid/attest/workload/unix.ts";
import { peerOf, someUid } from "../svid/attest/process.ts";

const peer = peerOf(process.pid);

it("[ENT-061] the file that runs is looked at only when an entry asks for its path or its hash", async () => {
  const file = realpathSync(process.execPath);
  const unix = createUnixAttestor({ now: Date.now });
  const kinds = async (wanted: readonly CostlyKind[]) => {
    const found = await unix.attest(peer, new Set(wanted));
    return found.filter((each) => each.startsWith("unix:path:") || each.startsWith("unix:sha256:"));
  };
  expect(await kinds([])).toEqual([]);
  expect(await kinds(["unix:path"])).toEqual([`unix:path:${file}`]);
  expect((await kinds(["unix:sha256"])).some((each) => each.startsWith("unix:sha256:"))).toBe(true);
});

it("[ENT-062] processes of one user are read so often in a second, and others' in the meantime", async () => {
  let nowMs = 0;
  const attest = createWorkloadAttestation([], { onFailed: () => expect.unreachable(), now: () => nowMs });
  const connect = () => attest(peerOf(process.pid));
  const outcomes = async (times: number) => {
    const settled = await Promise.allSettled(Array.from({ length: times }, connect));
    return settled.filter(({ status }) => status === "fulfilled").length;
  };
  expect(await outcomes(300)).toBe(256);
  await expect(connect()).rejects.toMatchObject({ code: "too_many_requests" });
  // Another's process, as far as the budget goes: it is refused for not being it, not for asking.
  const other = peerOf(process.pid, someUid + 1);
  await expect(attest(other)).rejects.toMatchObject({ code: "not_attested" });
  nowMs = 1_000;
  expect(await outcomes(300)).toBe(128);
  nowMs = 3_600_000;
  expect(await outcomes(300)).toBe(256);
});

it("[ENT-062] [WLA-051] processes of one user are read so often in each container that they are in", async () => {
  const attest = createWorkloadAttestation([], { onFailed: () => expect.unreachable(), now: () => 0 });
  const connect = (container: string | undefined) => attest({ ...peerOf(process.pid), container });
  for (const container of ["a", "b", undefined]) {
    for (let times = 0; times < 256; times++) await connect(container);
    await expect(connect(container)).rejects.toMatchObject({ code: "too_many_requests" });
  }
});
