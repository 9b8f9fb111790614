import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { childEnvironment } from "../../config.ts";
import { type Cli, CommandError } from "../cli.ts";

/** A server with a data directory of its own, run as anybody would run it. */
export interface ThrowawayServer {
  readonly issuer: string;
  readonly dataDir: string;
  readonly pid: number;
  /** Stops the server and removes the directory. */
  stop(): Promise<void>;
}

const readyTimeoutMs = 60_000;
// Longer than its own stop may take: a server that is killed leaves its PostgreSQL running.
const stopTimeoutMs = 90_000;
const readySchema = z.object({ event: z.literal("ready"), issuer: z.string() });

/** Starts `countersign serve --json --attest-own-uid` on a free port. With `outlive` it goes on when this process ends. */
export async function startThrowawayServer(cli: Cli, outlive: boolean): Promise<ThrowawayServer> {
  const directory = await mkdtemp(join(tmpdir(), "countersign-demo-"));
  const dataDir = join(directory, "data");
  const issuer = `http://127.0.0.1:${await freePort(cli)}`;
  const child = spawnServer(
    directory,
    { COUNTERSIGN_ISSUER: issuer, COUNTERSIGN_DATA_DIR: dataDir },
    outlive,
  );
  // Whatever the terminal sends reaches this process; it is what stops the server, and then removes the directory.
  const stop = async () => {
    await endChild(child);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const ready = await readyLine(cli, child, directory);
    if (outlive) child.unref();
    return { issuer: ready.issuer, dataDir, pid: child.pid ?? 0, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function spawnServer(directory: string, settings: Record<string, string>, outlive: boolean): ChildProcess {
  const main = fileURLToPath(new URL("../../main.js", import.meta.url));
  // Files, not pipes: a server that outlives this process must not write into the void.
  const out = openSync(join(directory, "out"), "w", 0o600);
  const log = openSync(join(directory, "log"), "w", 0o600);
  try {
    // Whoever plays the story runs its workload under the same account: on purpose, and here alone.
    return spawn(process.execPath, [main, "serve", "--json", "--attest-own-uid"], {
      env: childEnvironment(settings),
      stdio: ["ignore", out, log],
      detached: outlive,
    });
  } finally {
    closeSync(out);
    closeSync(log);
  }
}

async function readyLine(
  cli: Cli,
  child: ChildProcess,
  directory: string,
): Promise<z.infer<typeof readySchema>> {
  const deadlineMs = cli.now() + readyTimeoutMs;
  while (cli.now() < deadlineMs && child.exitCode === null && child.signalCode === null) {
    const [line = "", rest] = (await readFile(join(directory, "out"), "utf8")).split("\n", 2);
    if (rest !== undefined) return readySchema.parse(JSON.parse(line));
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  const lastWords = (await readFile(join(directory, "log"), "utf8")).trim().split("\n").at(-1);
  throw new CommandError(
    "server_not_ready",
    `the demo's server did not start: ${lastWords ?? "it said nothing"}`,
  );
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), stopTimeoutMs);
  await ended;
  clearTimeout(late);
}

/** Below those from which the system takes the ports of outgoing connections: none of them takes it meanwhile. */
async function freePort(cli: Cli): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const [high = 0, low = 0] = cli.randomBytes(2);
    const port = 20_000 + ((256 * high + low) % 12_000);
    if (await isFree(port)) return port;
  }
  throw new CommandError("no_port", "no free port was found");
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listening = once(server, "listening").then(
    () => true,
    () => false,
  );
  server.listen(port, "127.0.0.1");
  if (!(await listening)) return false;
  server.close();
  await once(server, "close");
  return true;
}
