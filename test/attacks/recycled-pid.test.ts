import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createAcceptQueue } from "../../src/workload-api/accept-queue.ts";
import { type Kernel, openKernel } from "../../src/workload-api/kernel.ts";
import { openPeer } from "../../src/workload-api/peer.ts";

/** What the next process's pid comes after. @see pid_namespaces(7) */
const lastPid = "/proc/sys/kernel/ns_last_pid";
const canChoosePids = (() => {
  try {
    writeFileSync(lastPid, readFileSync(lastPid));
    return true;
  } catch {
    return false;
  }
})();

let directory: string;
let path: string;
let server: Server;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "countersign-recycled-"));
  path = join(directory, "socket");
  server = createServer().listen(path);
  await once(server, "listening");
});
afterEach(() => {
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Connects, leaves the connection to a process of its own, says its pid and that one's, and ends. */
const connector = (to: string) => `
  const connection = require("node:net").connect(${JSON.stringify(to)}, () => {
    const stdio = ["ignore", "ignore", "ignore", connection];
    const heir = require("node:child_process").spawn("sleep", ["1000"], { stdio, detached: true });
    console.log(process.pid + " " + heir.pid);
    process.exit();
  });`;

/** Has a process of somebody else begin under the pid of the one that connected and ended; says who all of them are. */
const recycler = (to: string) => `
  const { spawn, spawnSync } = require("node:child_process");
  const { writeFileSync } = require("node:fs");
  const connector = spawnSync(process.execPath, ["-e", ${JSON.stringify(connector(to))}], { encoding: "utf8" });
  const [pid, heir] = connector.stdout.trim().split(" ").map(Number);
  let victim;
  for (let tries = 0; victim?.pid !== pid && tries < 100; tries++) {
    victim?.kill();
    writeFileSync(${JSON.stringify(lastPid)}, String(pid - 1));
    victim = spawn("sleep", ["1000"], { stdio: "ignore", detached: true });
  }
  console.log(JSON.stringify({ pid, heir, victim: victim.pid }));
  process.exit();`;

/** As a kernel before 6.5 answers. */
const older = (now: Kernel): Kernel => ({
  ...now,
  hasPeerHandles: false,
  peerHandle: () => undefined,
});

// Skipped elsewhere: only the superuser chooses pids; everybody else gets there by starting processes, which takes longer.
it.runIf(canChoosePids)(
  "[WLA-040] who connects, ends, and has another process begin under its pid while we are held up, is not taken for that one",
  async () => {
    const kernel = await openKernel();
    const queue = createAcceptQueue(older(kernel));
    queue.watch(server);
    const connection: Promise<Socket[]> = once(server, "connection") as Promise<Socket[]>;
    // We accept nothing meanwhile: all of that happens at once to us.
    const { stdout } = spawnSync(process.execPath, ["-e", recycler(path)], { encoding: "utf8" });
    const { pid, heir, victim } = JSON.parse(stdout);
    try {
      const [socket] = await connection;
      if (socket === undefined) throw new Error("nobody connected");
      expect(victim).toBe(pid);
      expect(openPeer(older(kernel), socket, () => Infinity).pid).toBe(victim);
      expect(() => openPeer(older(kernel), socket, queue.emptyAtTicks)).toThrow("only just begun");
      expect(() => openPeer(kernel, socket, queue.emptyAtTicks)).toThrow("the caller has ended");
      socket.destroy();
    } finally {
      queue.close();
      for (const each of [heir, victim]) process.kill(each, "SIGKILL");
    }
  },
);
