import { generateKeyPairSync, sign, verify, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@countersign/sdk/client/client";
import { createAgent } from "@countersign/sdk/contract/agents";
import { createEntry } from "@countersign/sdk/contract/entries";
import { listSigningKeys, taintAuthority } from "@countersign/sdk/contract/signing-keys";
import { createUser } from "@countersign/sdk/contract/users";
import { type ClientReadableStream, credentials, Metadata } from "@grpc/grpc-js";
import type { Closing } from "../src/app/closing.ts";
import {
  type JWTSVIDResponse,
  SpiffeWorkloadAPIClient,
  type X509SVIDResponse,
} from "../src/workload-api/generated/workload.ts";
import { startBareGrpc } from "./frame/bare-grpc.ts";
import type { CpuMeter } from "./frame/cpu.ts";
import { makeDataDirectory } from "./frame/data-directory.ts";
import { measureCallers, measureCalls } from "./frame/measure.ts";
import { operatorOf } from "./frame/population.ts";
import type { Bench, Row } from "./frame/row.ts";
import { at } from "./frame/scene.ts";
import { type BenchServer, startServer } from "./frame/server.ts";

const operations = 3_000;
const callers = 64;
const connections = 8;
/** Over so many connections: a user may have no more than 128. */
const [streams, streamConnections] = [1_000, 100] as const;
/** Entries that all match this process, so that one call issues as many X.509-SVIDs. */
const batches = { warmUp: 200, measured: 600 } as const;
const settleMs = 1_000;

const security = new Metadata();
security.set("workload.spiffe.io", "true");

/**
 * Measures the Workload API through its socket, as one process of the server's own account: an attested workload with one
 * entry, and in the end with hundreds. The machine has one account for it all, so that all streams are of one identity.
 */
export const bench: Bench = async (closing) => {
  const dataDir = makeDataDirectory(closing);
  const server = await startServer(closing, dataDir, undefined, ["--attest-own-uid"]);
  const operator = await operatorOf(server);
  const owner = (await operator.perform(createUser, { body: { name: "Alice" } })).id;
  await register(operator, owner, 1);
  const floors = await measureFloors(closing, dirname(dataDir));
  const rows = [
    ...(await jwtRows(closing, server, floors)),
    ...(await streamRows(closing, server, operator, floors)),
  ];
  return [await x509Row(closing, server, operator, owner), ...rows];
};

async function register(operator: Client, owner: string, count: number): Promise<void> {
  const selectors = [`unix:uid:${process.getuid?.()}`];
  for (let made = 0; made < count; made++) {
    const body = { owner, name: "worker", kind: "worker" } as const;
    const { id } = await operator.perform(createAgent, { body });
    await operator.perform(createEntry, { body: { agent: id, selectors } });
  }
  // The server learns of its entries a moment after their commits.
  await delay(settleMs);
}

function workloadClient(closing: Closing, { dataDir }: BenchServer): SpiffeWorkloadAPIClient {
  const client = new SpiffeWorkloadAPIClient(
    `unix:${join(dataDir, "workload.sock")}`,
    credentials.createInsecure(),
    { "grpc.use_local_subchannel_pool": 1, "grpc.max_receive_message_length": -1 },
  );
  closing.add(() => client.close());
  return client;
}

async function jwtRows(closing: Closing, server: BenchServer, floors: Floors): Promise<Row[]> {
  const clients = Array.from({ length: connections }, () => workloadClient(closing, server));
  const load = { callers, operations, cpu: server.cpu };
  const fetchJwt = (index: number, audience: string) =>
    new Promise<JWTSVIDResponse>((resolve, reject) => {
      at(clients, index).fetchJwtsvid({ audience: [audience], spiffeId: "" }, security, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
  const fresh = await measureCallers((index) => fetchJwt(index, `https://${index}.example`), load);
  const cached = await measureCallers((index) => fetchJwt(index, "https://one.example"), load);
  return [
    {
      work: "JWT-SVID, fresh, with its ledger row",
      ...fresh,
      floor: floors.signed,
      budgets: [{ of: "cpuMicros", most: 125 }],
    },
    {
      work: "JWT-SVID, cached, no ledger row",
      ...cached,
      floor: floors.asked,
      budgets: [{ of: "cpuMicros", most: 67 }],
    },
  ];
}

async function streamRows(
  closing: Closing,
  server: BenchServer,
  operator: Client,
  floors: Floors,
): Promise<Row[]> {
  const before = server.memoryMiB();
  const issuers = new Map<number, string>();
  const clients = Array.from({ length: streamConnections }, () => workloadClient(closing, server));
  const opened = await openEach((index) => {
    const stream = at(clients, index).fetchX509Svid({}, security);
    stream.on("data", ({ svids }: X509SVIDResponse) => {
      issuers.set(index, new X509Certificate(svids[0]?.x509Svid ?? Buffer.of()).issuer);
    });
    return stream;
  });
  await delay(settleMs);
  const memoryMiB = server.memoryMiB() - before;
  const known = issuers.get(0);
  const { items } = await operator.perform(listSigningKeys, { query: { limit: 200 } });
  const active = items.find(({ purpose, status }) => purpose === "x509_authority" && status === "active");
  const cpuMicros = await cpuOf(server.cpu, async () => {
    await operator.perform(taintAuthority, { params: { id: active?.id ?? "" } });
    await until(() => [...issuers.values()].every((issuer) => issuer !== known));
  });
  for (const stream of opened) stream.cancel();
  return [
    {
      work: "1,000 idle streams of one identity, no ledger row",
      memoryMiB,
      floor: { memoryMiB: floors.streamsMiB },
      budgets: [{ of: "memoryMiB", most: 80 }],
    },
    {
      work: "rotation of their identity, pushed to all, the taint and ledger rows included",
      cpuMicros,
      floor: { cpuMicros: floors.pushMicros },
      budgets: [{ of: "cpuMicros", most: 300_000 }],
    },
  ];
}

async function x509Row(closing: Closing, server: BenchServer, operator: Client, owner: string): Promise<Row> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const message = Buffer.alloc(500);
  const floor = measureCalls(() => {
    generateKeyPairSync("ec", { namedCurve: "P-256" });
    verify("sha256", message, publicKey, sign("sha256", message, privateKey));
  }, 2_000);
  const client = workloadClient(closing, server);
  const fetchAll = async (expected: number) => {
    const stream = client.fetchX509Svid({}, security);
    stream.on("error", () => undefined);
    const [answer]: readonly X509SVIDResponse[] = await once(stream, "data");
    const { svids = [] } = answer ?? {};
    stream.cancel();
    if (svids.length !== expected) throw new Error(`${svids.length} SVIDs came for ${expected} entries`);
  };
  await register(operator, owner, batches.warmUp);
  await fetchAll(1 + batches.warmUp);
  await register(operator, owner, batches.measured);
  const cpuMicros = await cpuOf(server.cpu, () => fetchAll(1 + batches.warmUp + batches.measured));
  return {
    work: "X.509-SVID with key pair and ledger row, many in one call",
    cpuMicros: cpuMicros / batches.measured,
    floor,
    budgets: [{ of: "cpuMicros", most: 125 }],
  };
}

type Floors = Awaited<ReturnType<typeof measureFloors>>;

/** A bare gRPC server at a socket: what a question and its answer cost, with a signature, the streams, and a message to each. */
async function measureFloors(closing: Closing, directory: string) {
  const asked = await startBareGrpc(closing, directory, 0);
  const signed = await startBareGrpc(closing, directory, 1);
  const octets = Buffer.alloc(700, 1);
  const measured = async (bare: typeof asked) => {
    const clients = Array.from({ length: connections }, bare.client);
    return measureCallers((index) => at(clients, index).ask(octets), { callers, operations, cpu: bare.cpu });
  };
  const figures = { asked: await measured(asked), signed: await measured(signed) };
  let messages = 0;
  const before = asked.memoryMiB();
  const clients = Array.from({ length: streamConnections }, asked.client);
  const opened = await openEach((index) => {
    const stream = at(clients, index).watch(Buffer.alloc(2_000, 1));
    stream.on("data", () => messages++);
    return stream;
  });
  await delay(settleMs);
  const streamsMiB = asked.memoryMiB() - before;
  const pushMicros = await cpuOf(asked.cpu, async () => {
    asked.push();
    await until(() => messages === 2 * streams);
  });
  for (const stream of opened) stream.cancel();
  return { ...figures, streamsMiB, pushMicros };
}

/** One after the other: a socket lets only so many wait to be accepted. */
async function openEach<Answer>(open: (index: number) => ClientReadableStream<Answer>) {
  const opened: ClientReadableStream<Answer>[] = [];
  for (let index = 0; index < streams; index++) {
    const stream = open(index);
    await once(stream, "data");
    // What ends it in the end is our own doing.
    stream.on("error", () => undefined);
    opened.push(stream);
  }
  return opened;
}

/** CPU of all that does the work, from now until it is quiet again. */
async function cpuOf(cpu: CpuMeter, work: () => Promise<unknown>): Promise<number> {
  const total = () => {
    const { serverMicros, postgresMicros = 0 } = cpu();
    return serverMicros + postgresMicros;
  };
  const before = total();
  await work();
  await delay(settleMs);
  return total() - before;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(20);
}
