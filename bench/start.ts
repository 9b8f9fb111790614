import { spawnSync } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import type { Closing } from "../src/app/closing.ts";
import { startEmbeddedPostgres } from "../src/store/postgres/embedded.ts";
import { closedAfter, makeDataDirectory } from "./frame/data-directory.ts";
import { silent } from "./frame/floor.ts";
import { percentile } from "./frame/measure.ts";
import type { Bench, Row } from "./frame/row.ts";
import { freePort, startServer } from "./frame/server.ts";

/** What one start took. */
interface Start {
  readonly readyMicros: number;
  readonly cpuMicros: number;
  readonly serverCpuMicros: number;
  readonly memoryMiB: number;
}

const starts = 4;
const settleMs = 1_000;

/** Measures from the start of the process to its ready line, on new data directories and on one that was used. */
export const bench: Bench = async (closing) => {
  const cold: Start[] = [];
  const warm: Start[] = [];
  const floors = { cold: [] as number[], warm: [] as number[] };
  for (let turn = 0; turn < starts; turn++) {
    await closedAfter(closing, async (inner) => {
      const dataDir = makeDataDirectory(inner);
      const port = await freePort();
      cold.push(await measureStart(inner, dataDir, port));
      warm.push(await measureStart(inner, dataDir, port));
    });
    await closedAfter(closing, async (inner) => {
      const dataDir = makeDataDirectory(inner);
      floors.cold.push(await measureBareStart(inner, dataDir));
      floors.warm.push(await measureBareStart(inner, dataDir));
    });
  }
  return [
    rowOf("start to ready, cold data directory", cold, floors.cold, 3_000_000),
    rowOf("start to ready, warm data directory", warm, floors.warm, 1_500_000),
    {
      work: "memory after the start",
      memoryMiB: Math.max(...[...cold, ...warm].map(({ memoryMiB }) => memoryMiB)),
      budgets: [{ of: "memoryMiB", most: 250 }],
    },
  ];
};

function rowOf(work: string, taken: readonly Start[], floor: readonly number[], most: number): Row {
  const micros = ascending(taken.map(({ readyMicros }) => readyMicros));
  const mean = (of: (start: Start) => number) =>
    taken.reduce((sum, start) => sum + of(start), 0) / taken.length;
  return {
    work,
    cpuMicros: mean(({ cpuMicros }) => cpuMicros),
    serverCpuMicros: mean(({ serverCpuMicros }) => serverCpuMicros),
    p50Micros: percentile(micros, 0.5),
    p99Micros: percentile(micros, 0.99),
    floor: { p50Micros: percentile(ascending(floor), 0.5) },
    budgets: [{ of: "p50Micros", most }],
  };
}

function ascending(values: readonly number[]): number[] {
  return values.toSorted((one, other) => one - other);
}

async function measureStart(closing: Closing, dataDir: string, port: number): Promise<Start> {
  const server = await startServer(closing, dataDir, port);
  const { serverMicros, postgresMicros = 0 } = server.cpu();
  await delay(settleMs);
  const memoryMiB = server.memoryMiB();
  await server.stop();
  return {
    readyMicros: server.readyMillis * 1000,
    cpuMicros: serverMicros + postgresMicros,
    serverCpuMicros: serverMicros,
    memoryMiB,
  };
}

/** Microseconds that an empty Node.js and a bare PostgreSQL take, one after the other. */
async function measureBareStart(outer: Closing, dataDir: string): Promise<number> {
  return closedAfter(outer, async (closing) => {
    const started = performance.now();
    spawnSync(process.execPath, ["--eval", ""]);
    closing.closes(await startEmbeddedPostgres({ log: silent }, dataDir));
    return (performance.now() - started) * 1000;
  });
}
