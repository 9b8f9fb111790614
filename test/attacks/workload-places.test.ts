import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Kernel, openKernel } from "../../src/workload-api/kernel.ts";
import {
  startWorkloadApi,
  type WorkloadApi,
  type WorkloadApiLimits,
} from "../../src/workload-api/workload-api.ts";
import { createMemorySource, type MemorySource } from "../workload-api/memory-source.ts";
import { read, secretClient, security, statusOf, workloadClient } from "../workload-api/socket.ts";

let directory: string;
let path: string;
let source: MemorySource;
let api: WorkloadApi;
let logged: string[];
/** Only root could be several users: the kernel's word on who connects is taken for it. */
let uid: number;
/** Which container the next one to connect is in. */
let container: string | undefined;
const clients: { readonly close: () => void }[] = [];
const sockets: Socket[] = [];
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "countersign-places-"));
  path = join(directory, "workload.sock");
  source = await createMemorySource();
  uid = 1;
  container = undefined;
  source.entries = [1, 2, 3].map((one) => ({
    selector: `unix:uid:${one}`,
    spiffeId: `spiffe://example.org/${one}`,
  }));
  logged = [];
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  await api.close();
  rmSync(directory, { recursive: true, force: true });
});

async function open(
  limits: Partial<WorkloadApiLimits>,
  changed: Partial<Kernel> = {},
  containerOf: () => string | undefined = () => container,
): Promise<void> {
  const real = await openKernel();
  const peerCredentials = (fd: number) => ({ ...real.peerCredentials(fd), uid });
  const kernel = { ...real, peerCredentials, ...changed };
  const logger = pino({ level: "debug" }, { write: (line: string) => void logged.push(line) });
  api = await startWorkloadApi(
    { kernel, source, logger, now: Date.now, isOutage: () => false, containerOf },
    path,
    limits,
  );
}

function clientOf(one: number) {
  uid = one;
  const client = workloadClient(path);
  clients.push(client);
  return client;
}

const svidsOf = (client: ReturnType<typeof workloadClient>) => read(client.fetchX509Svid({}, security));

/** Connects as this user, and tells whether it is let stay: what was cut says so before it answers. */
async function stays(one: number): Promise<boolean> {
  uid = one;
  return isServed(connect(path));
}

async function isServed(socket: Socket): Promise<boolean> {
  sockets.push(socket);
  // The server's settings, or its end.
  const [said] = await Promise.race([once(socket, "data"), once(socket, "close")]);
  return said instanceof Buffer;
}

const everyone = async (users: readonly number[]) => {
  const outcomes: boolean[] = [];
  for (const one of users) outcomes.push(await stays(one));
  return outcomes;
};

describe("places at the socket", () => {
  it("[WLA-041] are kept for who has few: two users who take all they can leave some for everybody else", async () => {
    await open({ connections: { max: 16, perPartyMax: 8 } });
    expect(await everyone(Array(8).fill(1))).toEqual(Array(8).fill(true));
    expect(await stays(1)).toBe(false);
    expect(await everyone(Array(5).fill(2))).toEqual([true, true, true, true, false]);
    expect(await everyone([3, 4, 5, 6, 7])).toEqual([true, true, true, true, false]);
    sockets[0]?.destroy();
    await expect.poll(() => stays(8)).toBe(true);
    expect(logged.filter((line) => line.includes("too many connections")).length).toBeGreaterThan(0);
  });

  it("[WLA-041] are fewer where this process may open few files, which one line says", async () => {
    await open({}, { descriptorsMax: () => 16 });
    expect(await everyone([1, 1, 1, 2, 2])).toEqual([true, true, true, true, false]);
    expect(logged.filter((line) => line.includes("open files limit"))).toHaveLength(1);
  });

  it("[WLA-041] are as many for the streams of one user, over however many connections, and for all users", async () => {
    await open({ streams: { max: 8, perPartyMax: 4 } });
    const [one, two] = [clientOf(1), clientOf(1)];
    const readings = [one, two, one, two].map(svidsOf);
    await Promise.all(readings.map((reading) => reading.next()));
    expect(await svidsOf(one).end()).toBe("RESOURCE_EXHAUSTED");
    const other = clientOf(2);
    const more = [svidsOf(other), svidsOf(other)];
    await Promise.all(more.map((reading) => reading.next()));
    expect(await svidsOf(other).end()).toBe("RESOURCE_EXHAUSTED");
    await svidsOf(clientOf(3)).next();
    // As many as are kept have to be free again before who has many is given another.
    for (const reading of readings.slice(0, 2)) reading.cancel();
    await expect.poll(() => statusOf(svidsOf(two).next())).toBe("OK");
    for (const reading of [...readings, ...more]) reading.cancel();
    await expect.poll(() => source.listeners.size).toBeLessThanOrEqual(2);
  });
});

describe("places of one user in several containers", () => {
  it("[WLA-051] are each container's own, of connections as of streams, and the same where none is told", async () => {
    await open({ connections: { max: 64, perPartyMax: 2 }, streams: { max: 64, perPartyMax: 1 } });
    for (const place of ["a", "b", undefined]) {
      container = place;
      const client = clientOf(1);
      const reading = svidsOf(client);
      await reading.next();
      expect(await svidsOf(client).end()).toBe("RESOURCE_EXHAUSTED");
      expect(await everyone([1, 1])).toEqual([true, false]);
    }
    expect(logged.filter((line) => line.includes('"container":"a"'))).not.toEqual([]);
  });

  it("[WLA-051] are looked up once a connection, however often it calls", async () => {
    let looks = 0;
    const looked = () => {
      looks++;
      return "a";
    };
    await open({}, {}, looked);
    const client = clientOf(1);
    for (let call = 0; call < 5; call++) {
      const reading = svidsOf(client);
      await reading.next();
      reading.cancel();
    }
    expect(looks).toBe(1);
  });
});

describe("a connection", () => {
  it("[WLA-050] that does not begin to speak HTTP/2 gives its place back, and one that speaks stays", async () => {
    await open({ connections: { max: 16, perPartyMax: 3 }, muteMs: 200 });
    const speaking = clientOf(1);
    const stream = svidsOf(speaking);
    await stream.next();
    // A part of the preface is none.
    const mute = ["", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"].map((said) => {
      const socket = connect(path);
      sockets.push(socket);
      socket.resume().write(said);
      return once(socket, "close");
    });
    await Promise.all(mute);
    await expect.poll(() => stays(1)).toBe(true);
    source.rotate();
    source.tell();
    await stream.next();
    stream.cancel();
  });
});

describe("a stream", () => {
  it("[WLA-042] that asks for nothing is ended, and one that asked stays", async () => {
    await open({ silentMs: 100 });
    uid = 1;
    const proxy = secretClient(path);
    clients.push(proxy);
    const asking = proxy.streamSecrets();
    const secrets = read(asking);
    asking.write({
      versionInfo: "",
      node: undefined,
      resourceNames: ["default"],
      typeUrl: "",
      responseNonce: "",
      errorDetail: undefined,
    });
    await secrets.next();
    expect(await read(proxy.streamSecrets()).end()).toBe("INVALID_ARGUMENT");
    source.rotate();
    source.tell();
    await secrets.next();
    asking.cancel();
    await expect.poll(() => source.listeners.size).toBe(0);
  });
});

it("[WLA-043] a thousand workloads that connect at once are all served", async () => {
  await open({ connections: { max: 2_000, perPartyMax: 1_000 } });
  uid = 1;
  // A Unix socket is connected, or refused, at once: all are before this process, which is the server too, takes the first in.
  const outcomes = await Promise.all(Array.from({ length: 1_000 }, () => isServed(connect(path))));
  expect(outcomes.filter((isOne) => isOne)).toHaveLength(1_000);
});
