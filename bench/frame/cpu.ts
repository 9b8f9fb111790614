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
  return () => ({ serverMicros: cpuMicrosOfTree(pid) });
}

/** The meter of a server process and the PostgreSQL in its data directory, by steps of 10 ms. Linux only. */
export function cpuOfServer(pid: number, dataDir: string): CpuMeter {
  return () => ({
    serverMicros: cpuMicrosOfTree(pid),
    postgresMicros: cpuMicrosOfTree(postgresPid(dataDir)),
  });
}

/** The meter of this process and the PostgreSQL in a data directory that it uses. Linux only. */
export function cpuOfThisWith(dataDir: string): CpuMeter {
  return () => ({ ...cpuOfThis(), postgresMicros: cpuMicrosOfTree(postgresPid(dataDir)) });
}

/** Memory of these processes with theirs, shared pages counted by share. @see proc_pid_smaps(5), Pss. Linux only. */
export function memoryMiBOf(pids: readonly number[]): number {
  const processes = readProcesses();
  const kibOf = (pid: number) =>
    Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1]);
  const all = new Set(pids.flatMap((pid) => treeOf(processes, pid)));
  return [...all].reduce((sum, pid) => sum + kibOf(pid), 0) / 1024;
}

/** The first process of the PostgreSQL in a data directory. @throws Error when none runs there */
export function postgresPid(dataDir: string): number {
  const cluster = findCluster(dataDir);
  const pid = cluster && serverPid(cluster);
  if (pid === undefined) throw new Error(`no PostgreSQL runs in ${dataDir}`);
  return pid;
}

/** CPU that a process, its children and theirs have used, ended children included. */
function cpuMicrosOfTree(root: number): number {
  const processes = readProcesses();
  const ticks = treeOf(processes, root).reduce((sum, pid) => sum + (processes.get(pid)?.ticks ?? 0), 0);
  return ticks * microsPerTick;
}

interface Process {
  readonly parent: number;
  readonly ticks: number;
}

function treeOf(processes: ReadonlyMap<number, Process>, root: number): number[] {
  const children = [...processes].filter(([, { parent }]) => parent === root);
  return [root, ...children.flatMap(([pid]) => treeOf(processes, pid))];
}

function readProcesses(): Map<number, Process> {
  const processes = new Map<number, Process>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readIfThere(`/proc/${name}/stat`);
    // One that ends while we look: what it used is its parent's by now.
    if (stat !== undefined) processes.set(Number(name), processOf(stat));
  }
  return processes;
}

/** @see proc_pid_stat(5): fields 4 (ppid), 14 to 17 (utime, stime, cutime, cstime) */
function processOf(stat: string): Process {
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
