import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync, unlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { programEnvironment } from "./account.ts";
import type { Cluster } from "./cluster.ts";

/**
 * The process id of the PostgreSQL that owns the cluster's lock file, or undefined when it does not run. A process
 * that merely inherited the number after a reboot or a new container is not taken for it.
 */
export function serverPid(cluster: Cluster): number | undefined {
  const pid = Number.parseInt(readLockFile(cluster)?.split("\n")[0] ?? "", 10);
  if (!(pid > 0)) return undefined;
  return isServerOf(cluster, pid) ? pid : undefined;
}

/** Whether the process is a PostgreSQL on this cluster. */
export function isServerOf(cluster: Cluster, pid: number): boolean {
  const command = commandOf(pid) ?? "";
  return command.includes("postgres") && command.includes(cluster.data);
}

/**
 * Removes the lock file of a server that is gone, where its number now belongs to someone else: PostgreSQL would take
 * that process for itself. It is read again at the last moment, so that a new server's file is not hit.
 */
export function removeStaleLockFile(cluster: Cluster): void {
  const stale = readLockFile(cluster);
  if (stale === undefined || serverPid(cluster) !== undefined || readLockFile(cluster) !== stale) return;
  unlinkSync(lockFile(cluster));
}

/**
 * Kills the backends that outlived their server: until they are gone no new one may use the data. Whatever they were
 * doing was lost with the server. Does nothing where there is no /proc: there they end with their statement.
 */
export function killOrphans(cluster: Cluster): void {
  const ours = processesIn(cluster.data);
  for (const [pid, { parent, command }] of ours) {
    if (!ours.has(parent) && command.startsWith("postgres: ")) signal(pid, "SIGKILL");
  }
}

/**
 * Kills the programs of PostgreSQL that work on this directory or below it; answers when they are gone. Does nothing
 * where there is no /proc.
 */
export async function killProgramsOn(directory: string): Promise<void> {
  for (let pids = programsOn(directory); pids.length > 0; pids = programsOn(directory)) {
    for (const pid of pids) signal(pid, "SIGKILL");
    await delay(5);
  }
}

/** Whether there is a process with this id, whoever it may be. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** Sends a signal, or does nothing when the process is gone already. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

function lockFile(cluster: Cluster): string {
  return join(cluster.data, "postmaster.pid");
}

function readLockFile(cluster: Cluster): string | undefined {
  return readIfThere(() => readFileSync(lockFile(cluster), "utf8"));
}

/** The command line of a process, or undefined when it is gone; empty for one that only waits to be reaped. */
export function commandOf(pid: number): string | undefined {
  return readIfThere(() =>
    process.platform === "linux"
      ? readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")
      : execFileSync("ps", ["-o", "command=", "-p", String(pid)], {
          env: programEnvironment,
          encoding: "utf8",
        }),
  );
}

/** Those who were given the directory by name, and those who went there. */
function programsOn(directory: string): number[] {
  return allProcesses().filter((pid) => {
    const program = basename(readIfThere(() => readlinkSync(`/proc/${pid}/exe`)) ?? "");
    if (program !== "initdb" && program !== "postgres") return false;
    return workplaceOf(pid)?.startsWith(directory) || commandOf(pid)?.includes(directory);
  });
}

function processesIn(directory: string): Map<number, { parent: number; command: string }> {
  const found = new Map<number, { parent: number; command: string }>();
  for (const pid of allProcesses()) {
    if (workplaceOf(pid) !== directory) continue;
    const status = readIfThere(() => readFileSync(`/proc/${pid}/status`, "utf8"));
    const parent = Number(/^PPid:\s*(\d+)$/m.exec(status ?? "")?.[1]);
    found.set(pid, { parent, command: commandOf(pid) ?? "" });
  }
  return found;
}

/** Their process ids, where there is a /proc that tells. */
function allProcesses(): number[] {
  return process.platform === "linux" ? readdirSync("/proc").map(Number).filter(Number.isInteger) : [];
}

function workplaceOf(pid: number): string | undefined {
  return readIfThere(() => readlinkSync(`/proc/${pid}/cwd`));
}

/** What `read` yields, or undefined where the file or process is gone or another user's. */
function readIfThere(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
