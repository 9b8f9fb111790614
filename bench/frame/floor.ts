import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Closing } from "../../src/app/closing.ts";
import type { ConnectionTarget } from "../../src/store/connection.ts";
import { startEmbeddedPostgres } from "../../src/store/postgres/embedded.ts";
import { type CpuMeter, cpuOfProcess, cpuOfServer } from "./cpu.ts";
import { closedAfter, makeDataDirectory } from "./data-directory.ts";
import { measureRequests } from "./load.ts";
import type { Figures } from "./row.ts";

/** What one request of the floor does besides HTTP. All signatures are ES256. */
export interface FloorRequest {
  readonly signatures: number;
  /** Those that the compared work can't do without. */
  readonly verifications: number;
  /** Whether an entry is inserted, many requests to a commit, with fsync. */
  readonly insert: boolean;
  /** As many as the compared work has; 64 unless told. */
  readonly callers?: number;
}

/** What the floor's server is told when it starts. */
export interface FloorServerRequest extends Omit<FloorRequest, "insert" | "callers"> {
  readonly target: ConnectionTarget | undefined;
}

const script = fileURLToPath(new URL("./floor-server.ts", import.meta.url));

/**
 * Measures the least that a request could cost on this machine now: node:http, the signatures and verifications, and a
 * group-committed insert into an embedded PostgreSQL of its own, without any of the product.
 */
export function measureFloor(
  outer: Closing,
  { insert, callers = 64, ...work }: FloorRequest,
): Promise<Figures> {
  return closedAfter(outer, async (closing) => {
    if (!insert) {
      const { origin, pid } = await startFloorServer(closing, { ...work, target: undefined });
      return measure(origin, cpuOfProcess(pid), callers);
    }
    const dataDir = makeDataDirectory(closing);
    const postgres = closing.closes(await startEmbeddedPostgres({ log: silent }, dataDir));
    const { origin, pid } = await startFloorServer(closing, { ...work, target: postgres.target });
    return measure(origin, cpuOfServer(pid, dataDir), callers);
  });
}

/** For the embedded PostgreSQL of a bench: only what is wrong is told. */
export const silent = { info: () => undefined, warn: console.warn };

function measure(origin: string, cpu: CpuMeter, callers: number): Promise<Figures> {
  const shot = { path: "/", form: "a=b" };
  return measureRequests({
    origin,
    shotOf: () => shot,
    expected: "access_token",
    callers,
    operations: callers === 1 ? 500 : 8_000,
    cpu,
  });
}

async function startFloorServer(
  closing: Closing,
  request: FloorServerRequest,
): Promise<{ readonly origin: string; readonly pid: number }> {
  const server = fork(script, [JSON.stringify(request)], { execArgv: ["--conditions=source"] });
  closing.add(() => endNow(server));
  const [port] = await Promise.race([
    once(server, "message"),
    once(server, "exit").then(() => Promise.reject(new Error("the floor's server did not start"))),
  ]);
  return { origin: `http://127.0.0.1:${port}`, pid: server.pid ?? 0 };
}

async function endNow(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill();
  await ended;
}
