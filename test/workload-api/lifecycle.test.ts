import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { queryObjects } from "node:v8";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openWorkloadApi } from "../../src/app/open-workload-api.ts";
import type { JWTSVIDResponse } from "../../src/workload-api/generated/workload.ts";
import { SocketTakenError } from "../../src/workload-api/listen.ts";
import { canRunAsNobody } from "../store/holder.ts";
import { createMemorySource, type MemorySource } from "./memory-source.ts";
import {
  ask,
  openDescriptors,
  openTestSocket,
  type Reading,
  read,
  secretClient,
  security,
  self,
  statusOf,
  type TestSocket,
  workloadClient,
} from "./socket.ts";

const id = "spiffe://example.org/org/acme/agent/one";
const entry = { selector: self, spiffeId: id };

/** What is reachable: sockets, and bytes of the heap. */
function heldNow(): { readonly sockets: number; readonly bytes: number } {
  // It collects what is not reachable first.
  const sockets = queryObjects(Socket, { format: "count" });
  return { sockets, bytes: process.memoryUsage().heapUsed };
}

describe("streams and connections", () => {
  let socket: TestSocket;
  const open = async (limits = {}) => {
    socket = await openTestSocket(limits);
    socket.source.entries = [entry];
  };
  afterEach(() => socket.close());

  /** Opens 48 streams of SVIDs and 2 of secrets on connections of their own, and lets none of them end well. */
  async function abandonMany(): Promise<void> {
    const client = workloadClient(socket.path);
    const secrets = secretClient(socket.path);
    const readings = Array.from({ length: 48 }, () => read(client.fetchX509Svid({}, security)));
    const streams = Array.from({ length: 2 }, () => secrets.streamSecrets());
    for (const stream of streams) stream.on("error", () => undefined);
    // Some are cancelled before they are answered, some afterwards; the others are left with their connection.
    for (const reading of readings.slice(0, 16)) reading.cancel();
    await Promise.all(readings.slice(16).map((reading) => reading.next()));
    for (const reading of readings.slice(16, 32)) reading.cancel();
    streams[0]?.cancel();
    socket.source.tell();
    client.close();
    secrets.close();
    for (const reading of readings) reading.cancel();
    streams[1]?.cancel();
  }

  it("[WLA-006] that are cancelled or abandoned, 10,000 of them, leave no listener, no descriptor and no memory", async () => {
    await open();
    const before = openDescriptors();
    const settle = async () => {
      await expect.poll(() => socket.source.listeners.size).toBe(0);
      await expect.poll(openDescriptors).toBeLessThanOrEqual(before);
      expect(socket.api.openStreams()).toBe(0);
      // What the test itself keeps of each call.
      socket.source.attested.length = 0;
      socket.logged.length = 0;
    };
    for (let round = 0; round < 40; round++) await abandonMany();
    await settle();
    const held = heldNow();
    for (let round = 0; round < 200; round++) await abandonMany();
    await settle();
    // A connection or a stream that stays for every hundred of them would be more.
    await expect.poll(() => heldNow().sockets).toBeLessThanOrEqual(held.sockets);
    expect((heldNow().bytes - held.bytes) / 10_000).toBeLessThan(200);
  });

  it("[WLA-006] whose process is killed leave nothing", async () => {
    await open();
    const before = openDescriptors();
    const script = new URL("./streaming-client.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [script, socket.path], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    expect(socket.source.listeners.size).toBe(1);
    expect(socket.source.attested.map(({ pid }) => pid)).toEqual([child.pid]);
    child.kill("SIGKILL");
    await once(child, "exit");
    await expect.poll(() => socket.source.listeners.size).toBe(0);
    await expect.poll(openDescriptors).toBeLessThanOrEqual(before);
    expect(socket.source.attested[0]?.isAlive()).toBe(false);
  });

  it("[WLA-006] that end while their answer is made get none", async () => {
    await open();
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.source.pause = () => promise;
    const client = workloadClient(socket.path);
    const reading = read(client.fetchX509Svid({}, security));
    await expect.poll(() => socket.source.attested.length).toBe(1);
    reading.cancel();
    await expect.poll(() => socket.source.listeners.size).toBe(0);
    resolve();
    expect(await reading.end()).toBe("CANCELLED");
    client.close();
  });

  it("[WLA-006] that do not read hold up nobody else", async () => {
    await open();
    const client = workloadClient(socket.path);
    const idle = client.fetchX509Svid({}, security);
    idle.on("error", () => undefined);
    idle.pause();
    const other = workloadClient(socket.path);
    const reading = read(other.fetchX509Svid({}, security));
    await reading.next();
    for (let round = 0; round < 200; round++) {
      socket.source.rotate();
      socket.source.tell();
      await reading.next();
    }
    idle.cancel();
    client.close();
    other.close();
  });

  it("[WLA-006] beyond those a connection may have open are not served, and the others go on", async () => {
    await open({ streamsPerConnectionMax: 4 });
    const client = workloadClient(socket.path);
    const another = () => read(client.fetchX509Svid({}, security));
    const readings = [another(), another(), another(), another()];
    await Promise.all(readings.map((reading) => reading.next()));
    const fifth = another();
    socket.source.rotate();
    socket.source.tell();
    await Promise.all(readings.map((reading) => reading.next()));
    expect([socket.source.attested.length, fifth.waiting()]).toEqual([4, 0]);
    const elsewhere = workloadClient(socket.path);
    await read(elsewhere.fetchX509Svid({}, security)).next();
    client.close();
    elsewhere.close();
    for (const reading of [...readings, fifth]) reading.cancel();
  });

  it("[WLA-006] beyond those a user may have open are cut, with one line in the log, until one of theirs ends", async () => {
    await open({ connections: { max: 4_096, perPartyMax: 3 } });
    const first = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const connection = connect(socket.path);
        await once(connection, "connect");
        return connection;
      }),
    );
    for (let more = 0; more < 3; more++) {
      const connection = connect(socket.path);
      connection.resume();
      await once(connection, "close");
    }
    expect(socket.logged.filter((line) => line.includes("too many connections"))).toHaveLength(1);
    first[0]?.destroy();
    const client = workloadClient(socket.path);
    await expect
      .poll(() =>
        statusOf(
          ask<JWTSVIDResponse>((respond) =>
            client.fetchJwtsvid({ audience: ["a"], spiffeId: "" }, security, respond),
          ),
        ),
      )
      .toBe("OK");
    client.close();
    for (const connection of first) connection.destroy();
  });

  it("[WLA-006] that speak no HTTP/2 are cut alone", async () => {
    await open();
    for (const text of ["GET / HTTP/1.1\r\n\r\n", "\0".repeat(1_000), "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"]) {
      const connection = connect(socket.path);
      connection.resume();
      connection.on("error", () => undefined);
      connection.end(text);
      await once(connection, "close");
    }
    const client = workloadClient(socket.path);
    await read(client.fetchX509Svid({}, security)).next();
    client.close();
  });
});

describe("the socket", () => {
  let directory: string;
  let path: string;
  let source: MemorySource;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "countersign-socket-"));
    path = join(directory, "workload.sock");
    source = await createMemorySource();
    source.entries = [entry];
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const deps = () => ({ source, logger: pino({ level: "silent" }), isOutage: () => false });
  const open = (socketPath = path, dataDir?: string) =>
    openWorkloadApi(deps(), { socketPath, ...(dataDir !== undefined && { dataDir }) });

  async function serves(socketPath: string): Promise<boolean> {
    const client = workloadClient(socketPath);
    const reading = read(client.fetchX509Svid({}, security));
    const answer = await statusOf(reading.next());
    reading.cancel();
    client.close();
    return answer === "OK";
  }

  it("[WLA-007] that closes tells each stream that it does, answers what is under way, and is gone", async () => {
    const before = openDescriptors();
    const api = await open();
    const client = workloadClient(path);
    const secrets = secretClient(path);
    const readings: Reading<unknown>[] = [
      read(client.fetchX509Svid({}, security)),
      read(client.fetchX509Bundles({}, security)),
      read(client.fetchJwtBundles({}, security)),
    ];
    const envoy = secrets.streamSecrets();
    const discovery = read(envoy);
    await Promise.all(readings.map((reading) => reading.next()));
    const { promise, resolve } = Promise.withResolvers<void>();
    source.pause = () => promise;
    const underWay = ask<JWTSVIDResponse>((respond) =>
      client.fetchJwtsvid({ audience: ["a"], spiffeId: "" }, security, respond),
    );
    await expect.poll(() => source.attested.length).toBe(5);
    await expect.poll(() => source.listeners.size).toBe(4);
    const closed = api.close();
    resolve();
    expect((await underWay).svids).toHaveLength(1);
    const ends = await Promise.all([...readings, discovery].map((reading) => reading.end()));
    expect(ends).toEqual(Array(4).fill("UNAVAILABLE"));
    await closed;
    expect([existsSync(path), source.listeners.size]).toEqual([false, 0]);
    client.close();
    secrets.close();
    await expect.poll(openDescriptors).toBeLessThanOrEqual(before);
  });

  it("[WLA-007] of a live server is not taken, and goes on", async () => {
    const api = await open();
    await expect(open()).rejects.toThrow(SocketTakenError);
    expect(await serves(path)).toBe(true);
    await api.close();
    await (await open()).close();
  });

  it("[WLA-007] of a server that was killed is replaced, by exactly one of those that start at once", async () => {
    const code = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => console.log("on"))`;
    const child = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(lstatSync(path).isSocket()).toBe(true);
    const opened = await Promise.allSettled([open(), open(), open(), open()]);
    const won = opened.filter((one) => one.status === "fulfilled");
    expect(won).toHaveLength(1);
    expect(opened.flatMap((one) => (one.status === "rejected" ? [one.reason.name] : []))).toEqual(
      Array(3).fill("SocketTakenError"),
    );
    expect(await serves(path)).toBe(true);
    await won[0]?.value.close();
  });

  it("[WLA-007] does not take the place of what is no socket", async () => {
    writeFileSync(path, "somebody's");
    await expect(open()).rejects.toThrow(/^[^\n]* is no socket; move it away$/);
    expect(readFileSync(path, "utf8")).toBe("somebody's");
  });

  it("[WLA-007] may be one of two in one process, each closed alone", async () => {
    const other = join(directory, "other.sock");
    const [first, second] = await Promise.all([open(), open(other)]);
    await first.close();
    expect([await serves(other), existsSync(path)]).toEqual([true, false]);
    await second.close();
  });

  it("[WLA-007] has any path, however long", async () => {
    const deep = join(directory, "d".repeat(100), "e".repeat(100));
    mkdirSync(deep, { recursive: true });
    const api = await open(join(deep, "workload.sock"));
    expect(lstatSync(join(deep, "workload.sock")).isSocket()).toBe(true);
    const code = `process.chdir(${JSON.stringify(deep)});
      require("node:net").connect("workload.sock", () => { console.log("connected"); process.exit(); });`;
    expect(String(execFileSync(process.execPath, ["-e", code]))).toBe("connected\n");
    await api.close();
    expect(existsSync(join(deep, "workload.sock"))).toBe(false);
  });

  it("[WLA-010] is for every user; its data directory lets them through and shows them nothing", async () => {
    const dataDir = join(directory, "data");
    mkdirSync(dataDir, { mode: 0o700 });
    const api = await open(join(dataDir, "workload.sock"), dataDir);
    expect((statSync(dataDir).mode & 0o777).toString(8)).toBe("711");
    expect((statSync(join(dataDir, "workload.sock")).mode & 0o777).toString(8)).toBe("666");
    await api.close();
  });

  it("[WLA-010] elsewhere leaves its directory as it is", async () => {
    const own = join(directory, "own");
    mkdirSync(own, { mode: 0o700 });
    const api = await open(join(own, "workload.sock"));
    expect((statSync(own).mode & 0o777).toString(8)).toBe("700");
    await api.close();
  });

  // Skipped elsewhere: only root can play another user, and not with a program below a directory that is closed to it.
  it.runIf(canRunAsNobody)("[WLA-010] answers another user as themselves", async () => {
    chmodSync(directory, 0o711);
    const dataDir = join(directory, "data");
    mkdirSync(dataDir, { mode: 0o700 });
    const socketPath = join(dataDir, "workload.sock");
    const api = await open(socketPath, dataDir);
    const child = spawn(process.execPath, ["-e", connecting(socketPath)], {
      uid: 65_534,
      gid: 65_534,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [said] = await once(child.stdout, "data");
    expect(String(said)).toBe("connected\n");
    child.kill("SIGKILL");
    await api.close();
  });
});

const connecting = (path: string) =>
  `require("node:net").connect(${JSON.stringify(path)}, () => console.log("connected")).resume()`;
