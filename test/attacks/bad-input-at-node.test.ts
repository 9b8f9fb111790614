import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Metadata } from "@grpc/grpc-js";
import fc from "fast-check";
import { pino } from "pino";
import { expect, it, onTestFinished } from "vitest";
import type { SvidSource } from "../../src/domain/svid-source.ts";
import type { RefusedCall } from "../../src/workload-api/connections.ts";
import type { JWTSVIDResponse, ValidateJWTSVIDResponse } from "../../src/workload-api/generated/workload.ts";
import { openKernel } from "../../src/workload-api/kernel.ts";
import { startWorkloadApi } from "../../src/workload-api/workload-api.ts";
import { openScriptedNode } from "../unit/node/scripted-node.ts";
import { createMemorySource } from "../workload-api/memory-source.ts";
import { ask, read, security, statusOf, workloadClient } from "../workload-api/socket.ts";
import { malformedId } from "./malformed-id.ts";

type Client = ReturnType<typeof workloadClient>;

/** A socket, and how many SVIDs whatever answers there has had issued. */
interface Place {
  readonly source: SvidSource;
  readonly issued: () => number;
}

/** The process that asks may be root's, which a scripted node attests no more than a real one does its own. */
const uid = 1;
const audience = "https://bank.example";
const nowSeconds = () => Math.floor(Date.now() / 1000);

async function serversPlace(hasEntries: boolean): Promise<Place> {
  const source = await createMemorySource();
  const entry = { selector: `unix:uid:${uid}`, spiffeId: "spiffe://example.org/org/default/agent/one" };
  source.entries = hasEntries ? [entry] : [];
  return { source, issued: source.issued };
}

async function nodesPlace(hasEntries: boolean): Promise<Place> {
  const { source, script, standing } = openScriptedNode();
  if (!hasEntries) script.entries = [];
  await expect.poll(() => standing().entries).toBe(script.entries.length);
  return { source, issued: () => script.asked.filter((path) => path.endsWith("-svids")).length };
}

/** Serves it, and tells what a call there comes to: its status, what is told of it, and how many SVIDs were issued. */
async function openSocket(place: Place, isAlive: () => boolean) {
  const directory = mkdtempSync(join(tmpdir(), "countersign-bad-node-"));
  const path = join(directory, "workload.sock");
  const real = await openKernel();
  const kernel = {
    ...real,
    peerCredentials: (fd: number) => ({ ...real.peerCredentials(fd), uid }),
    hasEnded: (handle: number) => !isAlive() || real.hasEnded(handle),
  };
  const refused: RefusedCall[] = [];
  const onRefused = (one: RefusedCall) => void refused.push(one);
  const logger = pino({ level: "silent" });
  const deps = { kernel, source: place.source, logger, onRefused, now: Date.now, isOutage: () => false };
  const api = await startWorkloadApi(deps, path);
  const client = workloadClient(path);
  onTestFinished(async () => {
    client.close();
    await api.close();
    rmSync(directory, { recursive: true });
  });
  return async (call: (client: Client) => Promise<unknown>) => {
    const before = place.issued();
    const status = await statusOf(call(client));
    return { status, refused: refused.splice(0), issued: place.issued() - before };
  };
}

/** What a call comes to at a server's socket and at a node's. */
async function openBoth(hasEntries = true, isAlive = () => true) {
  const sockets = [
    await openSocket(await serversPlace(hasEntries), isAlive),
    await openSocket(await nodesPlace(hasEntries), isAlive),
  ];
  return (call: (client: Client) => Promise<unknown>) => Promise.all(sockets.map((socket) => socket(call)));
}

const fetchJwt =
  (request: { audience?: string[]; spiffeId?: string } = {}, metadata = security) =>
  (client: Client) =>
    ask<JWTSVIDResponse>((respond) =>
      client.fetchJwtsvid({ audience: [audience], spiffeId: "", ...request }, metadata, respond),
    );
const fetchX509 =
  (metadata = security) =>
  (client: Client) =>
    read(client.fetchX509Svid({}, metadata)).next();
const validate = (svid: string) => (client: Client) =>
  ask<ValidateJWTSVIDResponse>((respond) => client.validateJwtsvid({ audience, svid }, security, respond));

/** Twice, at each socket alike. */
const both = (status: string, reason: string, method: string) => {
  const one = { status, refused: [{ reason, endpoint: `/SpiffeWorkloadAPI/${method}` }], issued: 0 };
  return [one, one];
};

it("[WLA-044] a node serves what is well formed, as its server does", async () => {
  const outcomes = await openBoth();
  const served = { status: "OK", refused: [], issued: 1 };
  expect(await outcomes(fetchJwt())).toEqual([served, served]);
  expect(await outcomes(fetchX509())).toEqual([served, served]);
});

it("[WLA-044] a node refuses by the same status as its server, for one time that it tells of, and has nothing issued", async () => {
  const outcomes = await openBoth();
  const [code, reason] = ["INVALID_ARGUMENT", "invalid_request"] as const;
  expect(await outcomes(fetchJwt({}, new Metadata()))).toEqual(both(code, reason, "FetchJWTSVID"));
  expect(await outcomes(fetchX509(new Metadata()))).toEqual(both(code, reason, "FetchX509SVID"));
  for (const asked of [[], Array(65).fill("a"), ["a".repeat(8_193)], ["a".repeat(5_000), "b".repeat(5_000)]])
    expect(await outcomes(fetchJwt({ audience: asked }))).toEqual(both(code, reason, "FetchJWTSVID"));
  expect(await outcomes(fetchJwt({ spiffeId: "spiffe://example.org/another" }))).toEqual(
    both("PERMISSION_DENIED", "not_attested", "FetchJWTSVID"),
  );
});

it("[WLA-044] a node refuses whatever is no SPIFFE ID, as its server does", async () => {
  const outcomes = await openBoth();
  const expected = both("INVALID_ARGUMENT", "invalid_request", "FetchJWTSVID");
  await fc.assert(
    fc.asyncProperty(malformedId, async (text) => {
      expect(await outcomes(fetchJwt({ spiffeId: text }))).toEqual(expected);
    }),
    { numRuns: 100 },
  );
});

it("[WLA-044] a node validates no SVID of a forged authority, nor what is none, as its server does not", async () => {
  const outcomes = await openBoth();
  const forger = await createMemorySource();
  const forged = await forger.signJwt({
    sub: "spiffe://example.org/org/default/agent/one",
    aud: [audience],
    exp: nowSeconds() + 60,
  });
  for (const [svid, reason] of [
    [forged, "key_unknown"],
    ["a.b.c", "malformed"],
    ["", "invalid_request"],
  ] as const)
    expect(await outcomes(validate(svid))).toEqual(both("INVALID_ARGUMENT", reason, "ValidateJWTSVID"));
});

it("[WLA-044] a node gives nothing to who has no entry, or has ended, as its server does", async () => {
  const denied = (method: string) => both("PERMISSION_DENIED", "not_attested", method);
  const without = await openBoth(false);
  expect(await without(fetchJwt())).toEqual(denied("FetchJWTSVID"));
  expect(await without(fetchX509())).toEqual(denied("FetchX509SVID"));
  expect(await without(validate("a.b.c"))).toEqual(denied("ValidateJWTSVID"));
  let isAlive = true;
  const ended = await openBoth(true, () => isAlive);
  await ended(fetchJwt());
  isAlive = false;
  expect(await ended(fetchJwt())).toEqual(denied("FetchJWTSVID"));
  expect(await ended(fetchX509())).toEqual(denied("FetchX509SVID"));
});
