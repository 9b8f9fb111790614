import { readdirSync, readFileSync } from "node:fs";
import type { Row } from "./row.ts";

/** The figures of a row, without its name and budget. */
export type Figures = Pick<Row, "cpuMicros" | "ratePerSecond" | "p50Micros" | "p99Micros">;

/** Linux counts CPU time in /proc by hundredths of a second, whatever the kernel's own tick. */
const microsPerTick = 10_000;
const warmUpShare = 0.2;

/**
 * Measures a synchronous function in this process: one operation a call, timed in rounds so that the clock costs nothing.
 *
 * @param operations calls to measure; a fifth as many go before, unmeasured
 */
export function measureCalls(operation: (index: number) => void, operations: number): Figures {
  const perRound = Math.max(1, Math.floor(operations / 1000));
  for (let index = 0; index < operations * warmUpShare; index++) operation(index);
  const roundMicros: number[] = [];
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  for (let done = 0; done < operations; done += perRound) {
    const roundStarted = performance.now();
    for (let index = done; index < done + perRound; index++) operation(index);
    roundMicros.push(((performance.now() - roundStarted) * 1000) / perRound);
  }
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const measured = roundMicros.length * perRound;
  return figuresOf(roundMicros, measured, seconds, user + system);
}

/** What `measureCallers` runs and how it counts. */
export interface CallersRequest {
  /** How many operations are under way at once. */
  readonly callers: number;
  readonly operations: number;
  /** CPU used so far by whatever does the work, in microseconds; this process when absent. */
  readonly cpuMicros?: () => number;
}

/** Measures an asynchronous operation under a number of callers, each of which waits for its own result. */
export async function measureCallers(
  operation: (index: number) => Promise<unknown>,
  { callers, operations, cpuMicros = cpuMicrosOfThis }: CallersRequest,
): Promise<Figures> {
  await run(Math.ceil(operations * warmUpShare), []);
  const latencies: number[] = [];
  const cpuBefore = cpuMicros();
  const started = performance.now();
  await run(operations, latencies);
  const seconds = (performance.now() - started) / 1000;
  return figuresOf(latencies, operations, seconds, cpuMicros() - cpuBefore);

  async function run(count: number, into: number[]): Promise<void> {
    let next = 0;
    const call = async () => {
      for (let index = next++; index < count; index = next++) {
        const began = performance.now();
        await operation(index);
        into.push((performance.now() - began) * 1000);
      }
    };
    await Promise.all(Array.from({ length: callers }, call));
  }
}

function figuresOf(latencies: number[], operations: number, seconds: number, cpuMicros: number): Figures {
  const sorted = latencies.toSorted((one, other) => one - other);
  return {
    cpuMicros: cpuMicros / operations,
    ratePerSecond: operations / seconds,
    p50Micros: percentile(sorted, 0.5),
    p99Micros: percentile(sorted, 0.99),
  };
}

/** The value below which `share` of an ascending list lies, by nearest rank; NaN for an empty list. */
export function percentile(ascending: readonly number[], share: number): number {
  return ascending[Math.max(0, Math.ceil(ascending.length * share) - 1)] ?? Number.NaN;
}

/** CPU that this process has used, in microseconds. */
export function cpuMicrosOfThis(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** CPU that another process has used, in microseconds, by steps of 10 ms. Linux only. */
export function cpuMicrosOfProcess(pid: number): number {
  const { user, system } = statOf(pid);
  return (user + system) * microsPerTick;
}

/** CPU that a process, its children and theirs have used, ended children included. Linux only. */
export function cpuMicrosOfTree(pid: number): number {
  const childrenOf = new Map<number, number[]>();
  for (const other of readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)) {
    try {
      const { parent } = statOf(other);
      childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), other]);
    } catch (error) {
      // It ended while we looked; what it used is its parent's by now.
      if (!(error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")))
        throw error;
    }
  }
  const sum = (of: number): number => {
    const { user, system, endedChildren } = statOf(of);
    const living = (childrenOf.get(of) ?? []).reduce((total, child) => total + sum(child), 0);
    return (user + system + endedChildren) * microsPerTick + living;
  };
  return sum(pid);
}

/** @see proc_pid_stat(5): fields 4 (ppid), 14 to 17 (utime, stime, cutime, cstime) */
function statOf(pid: number) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name in field 2 may hold spaces and brackets: count from the last bracket.
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [, parent = 0] = fields;
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15);
  return { parent, user, system, endedChildren: endedUser + endedSystem };
}
