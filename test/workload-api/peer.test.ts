import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
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
const older = (now: Kernel): Kernel => ({ ...now, peerHandle: () => undefined });

describe.each([
  ["by the kernel's handle", (now: Kernel) => now],
  ["by its start time, on an older kernel", older],
])("a peer, known %s", (_, asKernel) => {
  it("[WLA-002] is the process that connected, until that ends", async () => {
    const child = connectFromElsewhere();
    const socket = await accepted();
    const peer = openPeer(asKernel(kernel), socket);
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
    expect(() => openPeer(asKernel(kernel), socket)).toThrow();
    expect(socket.readyState).toBe("open");
    child.stdin.end();
    socket.destroy();
  });

  it("[WLA-002] is nobody once its connection is closed, and leaves no descriptor", async () => {
    const before = openDescriptors();
    const child = connectFromElsewhere();
    const socket = await accepted();
    const peer = openPeer(asKernel(kernel), socket);
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
    expect(() => openPeer(unseen, socket)).toThrow("outside our pid namespace");
    child.stdin.end();
    socket.destroy();
  });

  it("[WLA-002] known by its start is gone when another process has its pid, or that can't be read", () => {
    const starts: (string | undefined)[] = ["100", "100", "101", undefined];
    const isAlive = aliveByStart(42, () => starts.shift());
    expect([isAlive(), isAlive(), isAlive()]).toEqual([true, false, false]);
    const { pid } = spawnSync(process.execPath, ["--version"]);
    expect(aliveByStart(pid)()).toBe(false);
    expect(aliveByStart(process.pid)()).toBe(true);
  });

  it("[WLA-002] takes Linux: another system says so in one line", async () => {
    await expect(openKernel("darwin")).rejects.toThrow(/^the Workload API needs Linux[^\n]*$/);
  });
});
