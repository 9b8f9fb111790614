import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createAcceptQueue } from "../../src/workload-api/accept-queue.ts";
import { type Kernel, openKernel } from "../../src/workload-api/kernel.ts";
import { aliveByStart, openPeer } from "../../src/workload-api/peer.ts";
import { openDescriptors } from "./socket.ts";

let directory: string;
let path: string;
let server: Server;
let kernel: Kernel;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "countersign-peer-"));
  path = join(directory, "socket");
  kernel = await openKernel();
  server = createServer();
  server.listen(path);
  await once(server, "listening");
});
afterEach(() => {
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A process that connects, and lives until its standard input ends. */
function connectFromElsewhere() {
  const code = `require("node:net").connect(${JSON.stringify(path)}); process.stdin.resume().on("end", () => process.exit())`;
  return spawn(process.execPath, ["-e", code], { stdio: ["pipe", "ignore", "inherit"] });
}

/** A process that connects, hands the connection to a process of its own, and ends at once. */
function connectAndHandOn() {
  const code = `
    const connection = require("node:net").connect(${JSON.stringify(path)}, () => {
      const stdio = [0, "ignore", "inherit", connection];
      const heir = "process.stdin.resume().on('end', () => process.exit())";
      require("node:child_process").spawn(process.execPath, ["-e", heir], { stdio, detached: true });
      process.exit();
    });`;
  return spawn(process.execPath, ["-e", code], { stdio: ["pipe", "ignore", "inherit"] });
}

async function accepted(): Promise<Socket> {
  const [socket]: Socket[] = await once(server, "connection");
  if (socket === undefined) throw new Error("nobody connected");
  return socket;
}

/** As a kernel before 6.5 answers. */
const older = (now: Kernel): Kernel => ({
  ...now,
  hasPeerHandles: false,
  peerHandle: () => undefined,
});

describe.each([
  ["by the kernel's handle", (now: Kernel) => now],
  ["by its start time, on an older kernel", older],
])("a peer, known %s", (_, asKernel) => {
  it("[WLA-002] is the process that connected, until that ends", async () => {
    const child = connectFromElsewhere();
    const socket = await accepted();
    const peer = openPeer(asKernel(kernel), socket, () => Infinity);
    expect(peer).toMatchObject({ pid: child.pid, uid: process.getuid?.(), gid: process.getgid?.() });
    expect(peer.isAlive()).toBe(true);
    child.stdin.end();
    await once(child, "exit");
    await expect.poll(() => peer.isAlive()).toBe(false);
    peer.close();
    socket.destroy();
  });

  it("[WLA-002] is never who inherited the connection", async () => {
    const child = connectAndHandOn();
    const ended = once(child, "exit");
    const socket = await accepted();
    await ended;
    expect(() => openPeer(asKernel(kernel), socket, () => Infinity)).toThrow();
    expect(socket.readyState).toBe("open");
    child.stdin.end();
    socket.destroy();
  });

  it("[WLA-002] is nobody once its connection is closed, and leaves no descriptor", async () => {
    const before = openDescriptors();
    const child = connectFromElsewhere();
    const socket = await accepted();
    const peer = openPeer(asKernel(kernel), socket, () => Infinity);
    peer.close();
    peer.close();
    expect(peer.isAlive()).toBe(false);
    child.stdin.end();
    await once(child, "exit");
    socket.destroy();
    await expect.poll(openDescriptors).toBeLessThanOrEqual(before);
  });
});

describe("a peer", () => {
  it("[WLA-002] is refused when it is of no process that is seen here", async () => {
    const child = connectFromElsewhere();
    const socket = await accepted();
    const unseen = { ...kernel, peerCredentials: () => ({ pid: 0, uid: 0, gid: 0 }) };
    expect(() => openPeer(unseen, socket, () => Infinity)).toThrow("outside our pid namespace");
    child.stdin.end();
    socket.destroy();
  });

  it("[WLA-002] known by its start is gone when another process has its pid, or that can't be read", () => {
    const starts: (string | undefined)[] = ["100", "100", "101", undefined];
    const isAlive = aliveByStart(42, Infinity, () => starts.shift());
    expect([isAlive(), isAlive(), isAlive()]).toEqual([true, false, false]);
    const { pid } = spawnSync(process.execPath, ["--version"]);
    expect(aliveByStart(pid, Infinity)()).toBe(false);
    expect(aliveByStart(process.pid, Infinity)()).toBe(true);
  });

  it("[WLA-040] known by its start is believed when it had started before that tick, and not in it", () => {
    const startedAt = (start: string, before: number) => aliveByStart(42, before, () => start)();
    expect([startedAt("99", 100), startedAt("100", 100), startedAt("101", 100)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it("[WLA-040] waits at a queue that counts as empty only when it was looked at, by what is read before", async () => {
    let now = 7;
    const ticks = () => now++;
    const queue = createAcceptQueue(older(kernel), ticks);
    expect(queue.emptyAtTicks()).toBe(0);
    queue.watch(server);
    await expect.poll(queue.emptyAtTicks).toBeGreaterThanOrEqual(9);
    queue.close();
    const last = queue.emptyAtTicks();
    const child = connectFromElsewhere();
    const socket = await accepted();
    expect(queue.emptyAtTicks()).toBe(last);
    const filled = createAcceptQueue({ ...older(kernel), hasWaiting: () => true }, ticks);
    filled.watch(server);
    expect(filled.emptyAtTicks()).toBe(0);
    filled.close();
    child.stdin.end();
    socket.destroy();
  });

  it("[WLA-040] of a kernel that has handles needs no such look", () => {
    const queue = createAcceptQueue({ ...kernel, hasPeerHandles: true }, () => expect.unreachable());
    queue.watch(server);
    expect(queue.emptyAtTicks()).toBe(0);
    queue.close();
  });

  it("[WLA-002] takes Linux: another system says so in one line", async () => {
    await expect(openKernel("darwin")).rejects.toThrow(/^the Workload API needs Linux[^\n]*$/);
  });
});
