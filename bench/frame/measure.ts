import { type CpuMeter, cpuOfThis } from "./cpu.ts";
import type { Figures } from "./row.ts";

const warmUpShare = 0.2;

/** How many operations run before so many are measured. */
export function warmUpOf(operations: number): number {
  return Math.ceil(operations * warmUpShare);
}

/**
 * Measures a synchronous function in this process: one operation a call, timed in rounds so that the clock costs nothing.
 *
 * @param operations calls to measure; a fifth as many go before, unmeasured
 */
export function measureCalls(operation: (index: number) => void, operations: number): Figures {
  const perRound = Math.max(1, Math.floor(operations / 1000));
  for (let index = 0; index < warmUpOf(operations); index++) operation(index);
  const roundMicros: number[] = [];
  const cpuBefore = cpuOfThis();
  const started = performance.now();
  for (let done = 0; done < operations; done += perRound) {
    const roundStarted = performance.now();
    for (let index = done; index < done + perRound; index++) operation(index);
    roundMicros.push(((performance.now() - roundStarted) * 1000) / perRound);
  }
  const seconds = (performance.now() - started) / 1000;
  const measured = roundMicros.length * perRound;
  const { serverMicros } = cpuOfThis();
  return {
    cpuMicros: (serverMicros - cpuBefore.serverMicros) / measured,
    ...spreadOf(roundMicros, measured, seconds),
  };
}

/** What `measureCallers` runs and how it counts. */
export interface CallersRequest {
  /** How many operations are under way at once. */
  readonly callers: number;
  readonly operations: number;
  /** CPU used so far by whatever does the work; this process when absent. */
  readonly cpu?: CpuMeter;
}

/**
 * Measures an asynchronous operation under a number of callers, each of which waits for its own result. Each call has
 * an index of its own: those of the warm-up come first.
 */
export async function measureCallers(
  operation: (index: number) => Promise<unknown>,
  { callers, operations, cpu = cpuOfThis }: CallersRequest,
): Promise<Figures> {
  let next = 0;
  await runUntil(warmUpOf(operations), []);
  const latencies: number[] = [];
  const before = cpu();
  const started = performance.now();
  await runUntil(warmUpOf(operations) + operations, latencies);
  const seconds = (performance.now() - started) / 1000;
  const after = cpu();
  const serverMicros = (after.serverMicros - before.serverMicros) / operations;
  const spread = spreadOf(latencies, operations, seconds);
  if (after.postgresMicros === undefined) return { cpuMicros: serverMicros, ...spread };
  const postgresMicros = (after.postgresMicros - (before.postgresMicros ?? 0)) / operations;
  return { cpuMicros: serverMicros + postgresMicros, serverCpuMicros: serverMicros, ...spread };

  async function runUntil(end: number, into: number[]): Promise<void> {
    const call = async () => {
      while (next < end) {
        const began = performance.now();
        await operation(next++);
        into.push((performance.now() - began) * 1000);
      }
    };
    await Promise.all(Array.from({ length: callers }, call));
  }
}

function spreadOf(latencies: readonly number[], operations: number, seconds: number) {
  const sorted = latencies.toSorted((one, other) => one - other);
  return {
    ratePerSecond: operations / seconds,
    p50Micros: percentile(sorted, 0.5),
    p99Micros: percentile(sorted, 0.99),
  };
}

/** The value below which `share` of an ascending list lies, by nearest rank; NaN for an empty list. */
export function percentile(ascending: readonly number[], share: number): number {
  return ascending[Math.max(0, Math.ceil(ascending.length * share) - 1)] ?? Number.NaN;
}
