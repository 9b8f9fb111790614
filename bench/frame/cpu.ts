import { readdirSync, readFileSync } from "node:fs";
import { findCluster } from "../../src/store/postgres/cluster.ts";
import { serverPid } from "../../src/store/postgres/process.ts";

/** CPU used so far, in microseconds. */
export interface CpuUsed {
  /** By the process that does the work. */
  readonly serverMicros: number;
  /** By the PostgreSQL that it has; absent where there is none. */
  readonly postgresMicros?: number;
}

export type CpuMeter = () => CpuUsed;

/** Linux counts CPU time in /proc by hundredths of a second, whatever the kernel's own tick. */
const microsPerTick = 10_000;

/** The meter of this process. */
export const cpuOfThis: CpuMeter = () => {
  const { user, system } = process.cpuUsage();
  return { serverMicros: user + system };
};

/** The meter of another process, by steps of 10 ms. Linux only. */
export function cpuOfProcess(pid: number): CpuMeter {
  return () => ({ serverMicros: cpuMicrosOf([pid]) });
}

/** The meter of a server process and the PostgreSQL in its data directory, by steps of 10 ms. Linux only. */
export function cpuOfServer(pid: number, dataDir: string): CpuMeter {
  return () => ({
    // Not with its living children: PostgreSQL is one of them.
    serverMicros: cpuMicrosOf([pid]),
    postgresMicros: cpuMicrosOf(treeOf(postgresPid(dataDir))),
  });
}

/** The meter of this process and the PostgreSQL in a data directory that it uses. Linux only. */
export function cpuOfThisWith(dataDir: string): CpuMeter {
  return () => ({ ...cpuOfThis(), postgresMicros: cpuMicrosOf(treeOf(postgresPid(dataDir))) });
}

/** Memory of a server process and its PostgreSQL. Linux only. */
export function memoryMiBOfServer(pid: number, dataDir: string): number {
  return memoryMiBOf([pid, ...treeOf(postgresPid(dataDir))]);
}

/** Memory of these processes, shared pages counted by share. @see proc_pid_smaps(5). Linux only. */
export function memoryMiBOf(pids: readonly number[]): number {
  const kibOf = (each: number) =>
    // A worker of PostgreSQL's may have ended since it was listed: it has no memory.
    Number(/^Pss:\s+(\d+) kB$/m.exec(readIfThere(`/proc/${each}/smaps_rollup`) ?? "Pss: 0 kB")?.[1]);
  return pids.reduce((sum, each) => sum + kibOf(each), 0) / 1024;
}

/** The first process of the PostgreSQL in a data directory. @throws Error when none runs there */
function postgresPid(dataDir: string): number {
  const cluster = findCluster(dataDir);
  const pid = cluster && serverPid(cluster);
  if (pid === undefined) throw new Error(`no PostgreSQL runs in ${dataDir}`);
  return pid;
}

/** CPU that these processes and their ended children have used. */
function cpuMicrosOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (statOf(pid)?.ticks ?? 0), 0) * microsPerTick;
}

/** A process, its children, and theirs. */
function treeOf(root: number): number[] {
  const parents = new Map<number, number | undefined>();
  for (const name of readdirSync("/proc")) {
    if (/^\d+$/.test(name)) parents.set(Number(name), statOf(Number(name))?.parent);
  }
  const withChildren = (pid: number): number[] => [
    pid,
    ...[...parents].filter(([, parent]) => parent === pid).flatMap(([child]) => withChildren(child)),
  ];
  return withChildren(root);
}

/**
 * Undefined for a process that is gone; what it used is its parent's by then.
 *
 * @see proc_pid_stat(5): fields 4 (ppid), 14 to 17 (utime, stime, cutime, cstime)
 */
function statOf(pid: number): { readonly parent: number; readonly ticks: number } | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name in field 2 may hold spaces and brackets: count from the last bracket.
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [, parent = 0] = fields;
  return { parent, ticks: fields.slice(11, 15).reduce((sum, ticks) => sum + ticks, 0) };
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH"))
      return undefined;
    throw error;
  }
}
