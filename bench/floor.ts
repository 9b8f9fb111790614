import { fork } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ConnectionTarget } from "../src/store/connection.ts";
import { startEmbeddedPostgres } from "../src/store/postgres/embedded.ts";
import { measureRequests } from "./load.ts";
import { cpuMicrosOfProcess, type Figures } from "./measure.ts";

/** What one request of the floor does besides HTTP: always one ES256 signature. */
export interface FloorRequest {
  /** ES256 verifications that the compared work can't do without. */
  readonly verifications: number;
  /** Whether an entry is inserted, many requests to a commit, with fsync. */
  readonly insert: boolean;
}

/** What the floor's server is told when it starts. */
export interface FloorServerRequest extends FloorRequest {
  readonly target: ConnectionTarget | undefined;
}

/**
 * Measures the least a token could cost on this machine now: node:http, one signature, the verifications and a
 * group-committed insert into an embedded PostgreSQL of its own, without any of the product.
 */
export async function measureFloor(floor: FloorRequest): Promise<Figures> {
  if (!floor.insert) return measureServer({ ...floor, target: undefined });
  const dataDir = mkdtempSync(join(tmpdir(), "countersign-floor-"));
  chmodSync(dataDir, 0o755);
  const postgres = await startEmbeddedPostgres(
    { log: { info: () => undefined, warn: console.warn } },
    dataDir,
  );
  try {
    return await measureServer({ ...floor, target: postgres.target });
  } finally {
    await postgres.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function measureServer(request: FloorServerRequest): Promise<Figures> {
  const server = fork(
    fileURLToPath(new URL("./floor-server.ts", import.meta.url)),
    [JSON.stringify(request)],
    {
      execArgv: ["--conditions=source"],
    },
  );
  try {
    const [port] = await Promise.race([
      once(server, "message"),
      once(server, "exit").then(() => Promise.reject(new Error("the floor's server did not start"))),
    ]);
    const pid = server.pid ?? 0;
    const shot = { headers: { "content-type": "application/x-www-form-urlencoded" }, body: "a=b" };
    return await measureRequests(`http://127.0.0.1:${port}/`, () => shot, {
      callers: 64,
      operations: 8_000,
      cpuMicros: () => cpuMicrosOfProcess(pid),
    });
  } finally {
    server.kill();
  }
}
