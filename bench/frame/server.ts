import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { Closing } from "../../src/app/closing.ts";
import { childEnvironment } from "../../src/config.ts";
import { type CpuMeter, cpuOfServer, memoryMiBOfServer } from "./cpu.ts";

/** A real server, run as anybody would run it, on its own PostgreSQL with fsync on. */
export interface BenchServer {
  readonly issuer: string;
  readonly dataDir: string;
  /** From the start of the process to its ready line. */
  readonly readyMillis: number;
  readonly cpu: CpuMeter;
  readonly memoryMiB: () => number;
  readonly stop: () => Promise<void>;
}

const main = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const stopTimeoutMs = 20_000;

const readySchema = z.object({ event: z.literal("ready"), issuer: z.string() });

/**
 * Starts `countersign serve` on loopback.
 *
 * @param more words of the command line
 * @param port a free one when absent; a data directory that was used belongs to the port of its first start
 * @throws Error with its last words when it does not start
 */
export async function startServer(
  closing: Closing,
  dataDir: string,
  port?: number,
  more: readonly string[] = [],
): Promise<BenchServer> {
  const listenOn = port ?? (await freePort());
  mkdirSync(dataDir, { recursive: true });
  const logFile = join(dirname(dataDir), "log");
  const log = openSync(logFile, "a", 0o600);
  const started = performance.now();
  const words = ["serve", "--json", "--port", String(listenOn), "--data-dir", dataDir, ...more];
  const child = spawn(process.execPath, [main, ...words], {
    env: childEnvironment({}),
    stdio: ["ignore", "pipe", log],
  });
  closeSync(log);
  const stop = () => end(child);
  closing.add(stop);
  const { issuer } = await readyLine(child, logFile);
  const readyMillis = performance.now() - started;
  const pid = child.pid ?? 0;
  return {
    issuer,
    dataDir,
    readyMillis,
    cpu: cpuOfServer(pid, dataDir),
    memoryMiB: () => memoryMiBOfServer(pid, dataDir),
    stop,
  };
}

async function readyLine(child: ChildProcess, logFile: string): Promise<z.infer<typeof readySchema>> {
  if (child.stdout === null) throw new Error("the server's output is not read");
  for await (const line of createInterface(child.stdout)) {
    const ready = readySchema.safeParse(JSON.parse(line));
    if (ready.success) return ready.data;
    throw new Error(`the server did not start: ${line}`);
  }
  throw new Error(`the server did not start: ${readFileSync(logFile, "utf8").slice(-2000)}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
  await ended;
  clearTimeout(late);
}

/** A loopback port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("no free port was found");
  return address.port;
}
