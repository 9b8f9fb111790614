import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Metadata } from "@grpc/grpc-js";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { JWTSVIDResponse } from "../../src/workload-api/generated/workload.ts";
import { type Kernel, openKernel } from "../../src/workload-api/kernel.ts";
import { startWorkloadApi, type WorkloadApi } from "../../src/workload-api/workload-api.ts";
import { createMemorySource, type MemorySource } from "../workload-api/memory-source.ts";
import { ask, read, security, self, statusOf, workloadClient } from "../workload-api/socket.ts";

const spiffeId = "spiffe://example.org/org/acme/agent/victim";

let directory: string;
let path: string;
let source: MemorySource;
let api: WorkloadApi;
/** The kernel, whose word on whether a caller has ended a test can take. */
let kernel: Kernel;
let allHaveEnded: boolean;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "countersign-attack-"));
  path = join(directory, "workload.sock");
  source = await createMemorySource();
  source.entries = [{ selector: self, spiffeId }];
  allHaveEnded = false;
  const real = await openKernel();
  kernel = { ...real, hasEnded: (handle) => allHaveEnded || real.hasEnded(handle) };
  const logger = pino({ level: "silent" });
  api = await startWorkloadApi({ kernel, source, logger, now: Date.now, isOutage: () => false }, path);
});
afterEach(async () => {
  await api.close();
  rmSync(directory, { recursive: true, force: true });
});

const jwtSvid = (client: ReturnType<typeof workloadClient>, metadata = security) =>
  ask<JWTSVIDResponse>((respond) =>
    client.fetchJwtsvid({ audience: ["https://bank.example"], spiffeId: "" }, metadata, respond),
  );

describe("who is not the workload", () => {
  it("[WLA-002] gets no message on a stream whose process has ended, and no answer, though the pid is in use again", async () => {
    const client = workloadClient(path);
    const reading = read(client.fetchX509Svid({}, security));
    await reading.next();
    source.rotate();
    allHaveEnded = true;
    source.tell();
    expect(await reading.end()).toBe("PERMISSION_DENIED");
    expect(await statusOf(jwtSvid(client))).toBe("PERMISSION_DENIED");
    client.close();
  });

  it("[WLA-002] gets no answer when the process ends between attestation and answer", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    source.pause = () => promise;
    const client = workloadClient(path);
    const reading = read(client.fetchX509Svid({}, security));
    const answer = statusOf(jwtSvid(client));
    await expect.poll(() => source.attested.length).toBe(2);
    allHaveEnded = true;
    resolve();
    expect([await reading.end(), await answer]).toEqual(["PERMISSION_DENIED", "PERMISSION_DENIED"]);
    client.close();
  });

  it("[WLA-003] gets nothing through a program that it made call the socket: that can't add the header", async () => {
    const client = workloadClient(path);
    expect(await statusOf(jwtSvid(client, new Metadata()))).toBe("INVALID_ARGUMENT");
    expect(await read(client.fetchX509Svid({}, new Metadata())).end()).toBe("INVALID_ARGUMENT");
    expect(source.attested).toEqual([]);
    client.close();
  });

  it("[WLA-006] takes no more than its share: others are served while it holds all that it can", async () => {
    await api.close();
    const limits = { connections: { max: 4_096, perPartyMax: 4 }, streamsPerConnectionMax: 8 };
    const logger = pino({ level: "silent" });
    const deps = { kernel: asUid(kernel), source, logger, now: Date.now, isOutage: () => false };
    uid = 1;
    source.entries = [1, 2].map((one) => ({ selector: `unix:uid:${one}`, spiffeId: `${spiffeId}/${one}` }));
    api = await startWorkloadApi(deps, path, limits);
    const greedy = Array.from({ length: 6 }, () => workloadClient(path));
    const hoard = greedy.flatMap((client) =>
      Array.from({ length: 16 }, () => read(client.fetchX509Svid({}, security))),
    );
    await expect.poll(() => source.attested.length).toBeGreaterThanOrEqual(32);
    uid = 2;
    const modest = workloadClient(path);
    const { svids } = await read(modest.fetchX509Svid({}, security)).next();
    expect(svids.map((svid) => svid.spiffeId)).toEqual([`${spiffeId}/2`]);
    for (const reading of hoard) reading.cancel();
    for (const client of [...greedy, modest]) client.close();
  });
});

let uid: number;
/** Only root could be two users: the kernel's word on who connects is taken for it. */
const asUid = (real: Kernel): Kernel => ({
  ...real,
  peerCredentials: (fd) => ({ ...real.peerCredentials(fd), uid }),
});
