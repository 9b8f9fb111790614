import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Metadata } from "@grpc/grpc-js";
import fc from "fast-check";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RefusedCall } from "../../src/workload-api/connections.ts";
import type { JWTSVIDResponse, ValidateJWTSVIDResponse } from "../../src/workload-api/generated/workload.ts";
import { type Kernel, openKernel } from "../../src/workload-api/kernel.ts";
import { startWorkloadApi, type WorkloadApi } from "../../src/workload-api/workload-api.ts";
import { createMemorySource, type MemorySource, newJwtKey } from "../workload-api/memory-source.ts";
import { ask, read, security, self, statusOf, workloadClient } from "../workload-api/socket.ts";
import { malformedId } from "./malformed-id.ts";

const spiffeId = "spiffe://example.org/org/acme/agent/one";
const audience = "https://bank.example";
const nowSeconds = () => Math.floor(Date.now() / 1000);

let directory: string;
let path: string;
let source: MemorySource;
let api: WorkloadApi;
let client: ReturnType<typeof workloadClient>;
let refused: RefusedCall[];
let logged: string[];
let changed: Partial<Kernel>;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "countersign-bad-"));
  path = join(directory, "workload.sock");
  source = await createMemorySource();
  source.entries = [{ selector: self, spiffeId }];
  refused = [];
  logged = [];
  changed = {};
  const real = await openKernel();
  const kernel = {
    ...real,
    peerCredentials: (fd: number) => (changed.peerCredentials ?? real.peerCredentials)(fd),
    hasEnded: (handle: number) => (changed.hasEnded ?? real.hasEnded)(handle),
  };
  const onRefused = (one: RefusedCall) => void refused.push(one);
  const deps = { kernel, source, onRefused, now: Date.now, isOutage: () => false };
  const logger = pino({ level: "info" }, { write: (line: string) => void logged.push(line) });
  api = await startWorkloadApi({ ...deps, logger }, path);
  client = workloadClient(path);
});
afterEach(async () => {
  client.close();
  await api.close();
  rmSync(directory, { recursive: true, force: true });
});

const fetchJwt = (request: { audience?: string[]; spiffeId?: string } = {}, metadata = security) =>
  ask<JWTSVIDResponse>((respond) =>
    client.fetchJwtsvid({ audience: [audience], spiffeId: "", ...request }, metadata, respond),
  );
const fetchX509 = (metadata = security) => read(client.fetchX509Svid({}, metadata));
const validate = (svid: string) =>
  ask<ValidateJWTSVIDResponse>((respond) => client.validateJwtsvid({ audience, svid }, security, respond));

/** That it was refused by this status, that nothing was issued for it, and that it is told of once. */
async function expectRefused(answer: Promise<unknown>, status: string, reason: string, method: string) {
  const issued = source.issued();
  refused.length = 0;
  expect(await statusOf(answer)).toBe(status);
  expect(source.issued()).toBe(issued);
  expect(refused).toEqual([{ reason, endpoint: `/SpiffeWorkloadAPI/${method}` }]);
}

describe("[WLA-044] a call of the Workload API is refused, told of once, and nothing is issued", () => {
  it("without the metadata that it has to bear", async () => {
    const [code, reason] = ["INVALID_ARGUMENT", "invalid_request"] as const;
    await expectRefused(fetchJwt({}, new Metadata()), code, reason, "FetchJWTSVID");
    await expectRefused(fetchX509(new Metadata()).next(), code, reason, "FetchX509SVID");
  });

  it("of a process that has ended", async () => {
    await statusOf(fetchJwt());
    changed = { hasEnded: () => true };
    await expectRefused(fetchJwt(), "PERMISSION_DENIED", "not_attested", "FetchJWTSVID");
    await expectRefused(fetchX509().next(), "PERMISSION_DENIED", "not_attested", "FetchX509SVID");
  });

  it.each([
    ["of pid 0, whom we can't see", { peerCredentials: () => ({ pid: 0, uid: 0, gid: 0 }) }],
    ["of a process that ended before it was taken in", { hasEnded: () => true }],
  ])("%s: its connection is cut", async (_, asked) => {
    changed = asked;
    const connection = connect(path);
    await once(connection.resume(), "close");
    expect(refused).toEqual([{ reason: "not_attested", endpoint: "workload.sock" }]);
    expect([source.attested.length, source.issued()]).toEqual([0, 0]);
  });

  it("of a caller without an entry", async () => {
    source.entries = [];
    await expectRefused(fetchJwt(), "PERMISSION_DENIED", "not_attested", "FetchJWTSVID");
    await expectRefused(fetchX509().next(), "PERMISSION_DENIED", "not_attested", "FetchX509SVID");
    await expectRefused(validate("a.b.c"), "PERMISSION_DENIED", "not_attested", "ValidateJWTSVID");
  });

  it("for too many audiences, or too long ones", async () => {
    for (const asked of [Array(65).fill("a"), ["a".repeat(8_193)], ["a".repeat(5_000), "b".repeat(5_000)]])
      await expectRefused(
        fetchJwt({ audience: asked }),
        "INVALID_ARGUMENT",
        "invalid_request",
        "FetchJWTSVID",
      );
  });

  it("for whatever is no SPIFFE ID, by the whole grammar", async () => {
    await fc.assert(
      fc.asyncProperty(malformedId, (text) =>
        expectRefused(fetchJwt({ spiffeId: text }), "INVALID_ARGUMENT", "invalid_request", "FetchJWTSVID"),
      ), // So many that each way of breaking a rule is tried.
      { numRuns: 300 },
    );
  });

  it("for an SVID of a forged authority, and of a foreign one that claims our ID", async () => {
    const claims = { sub: spiffeId, aud: [audience], exp: nowSeconds() + 60 };
    const forger = await createMemorySource();
    const foreign = await createMemorySource("other.example");
    foreign.entries = [{ selector: self, spiffeId: "spiffe://other.example/a" }];
    source.federated = await foreign.bundles([self as never]);
    for (const token of [await forger.signJwt(claims), await foreign.signJwt(claims)])
      await expectRefused(validate(token), "INVALID_ARGUMENT", "key_unknown", "ValidateJWTSVID");
    const [own] = await source.bundles([self as never]);
    const kid = own?.jwtAuthorities[0]?.kid;
    const underOurName = await forger.signJwt(claims, { kid });
    await expectRefused(validate(underOurName), "INVALID_ARGUMENT", "signature_invalid", "ValidateJWTSVID");
  });

  it("for an SVID whose authority is in its bundle no more", async () => {
    const foreign = await createMemorySource("other.example");
    foreign.entries = [{ selector: self, spiffeId: "spiffe://other.example/a" }];
    const [bundle] = await foreign.bundles([self as never]);
    if (bundle === undefined) throw new Error("it has no bundle");
    const claims = { sub: "spiffe://other.example/a", aud: [audience], exp: nowSeconds() + 60 };
    const token = await foreign.signJwt(claims);
    source.federated = [bundle];
    expect(await statusOf(validate(token))).toBe("OK");
    source.federated = [{ ...bundle, jwtAuthorities: [(await newJwtKey()).authority] }];
    await expectRefused(validate(token), "INVALID_ARGUMENT", "key_unknown", "ValidateJWTSVID");
  });

  it("for an SVID that is over, or not yet good, by more than clocks may differ", async () => {
    const claims = { sub: spiffeId, aud: [audience], exp: nowSeconds() + 600 };
    const sign = (more: object) => source.signJwt({ ...claims, ...more });
    const over = await sign({ exp: nowSeconds() - 60 });
    await expectRefused(validate(over), "INVALID_ARGUMENT", "expired", "ValidateJWTSVID");
    const early = await sign({ nbf: nowSeconds() + 120 });
    await expectRefused(validate(early), "INVALID_ARGUMENT", "not_yet_valid", "ValidateJWTSVID");
    expect(await statusOf(validate(await sign({ nbf: nowSeconds() + 2 })))).toBe("OK");
  });
});

describe("[WLA-052] what the transport refuses before it is a call is told of to nobody, and nothing is issued", () => {
  const send = (method: string, octets: Buffer) =>
    ask<Buffer>((respond) =>
      client.makeUnaryRequest(
        `/SpiffeWorkloadAPI/${method}`,
        (value: Buffer) => value,
        (value: Buffer) => value,
        octets,
        security,
        (error, value) => respond(error, value ?? Buffer.alloc(0)),
      ),
    );

  it.each([
    ["a message of more than 64 KiB", "FetchJWTSVID", Buffer.alloc(64 * 1024 + 1), "RESOURCE_EXHAUSTED"],
    ["what is no message", "FetchJWTSVID", Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), "INTERNAL"],
    ["a method that is not there", "FetchNothing", Buffer.alloc(0), "UNIMPLEMENTED"],
  ])("%s", async (_, method, octets, status) => {
    expect(await statusOf(send(method, octets))).toBe(status);
    expect([refused, logged, source.attested.length, source.issued()]).toEqual([[], [], 0, 0]);
  });

  it("what is no HTTP/2", async () => {
    const connection = connect(path);
    connection.on("error", () => undefined).write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(connection.resume(), "close");
    expect([refused, logged, source.attested.length, source.issued()]).toEqual([[], [], 0, 0]);
  });
});
