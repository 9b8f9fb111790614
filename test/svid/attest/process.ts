import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import type { Readable, Writable } from "node:stream";
import type { WorkloadPeer } from "../../../src/domain/svid-source.ts";

/** Only the superuser starts processes of others. */
export const isRoot = process.getuid?.() === 0;
/** Of nobody in /etc/passwd. */
export const someUid = isRoot ? 61_234 : (process.getuid?.() ?? 0);
export const someGid = isRoot ? 61_235 : (process.getgid?.() ?? 0);

/** Our supplementary groups, sorted: our own group, which Node lists with them, may be one or not. */
export const ownGroups: readonly number[] = (process.getgroups?.() ?? []).filter(isOther).sort(ascending);

/** The supplementary groups that are told of a process, sorted, without our own group. */
export function groupsIn(selectors: readonly string[]): readonly number[] {
  const gids = selectors.flatMap((each) => /^unix:supplementary_gid:(\d+)$/.exec(each)?.[1] ?? []);
  return gids.map(Number).filter(isOther).sort(ascending);
}

/**
 * Where a test's files are root's all the way down, if it runs as root: everybody writes in the directory for temporary
 * files, which alone makes a manifest worth nothing.
 */
export const keptDirectory = isRoot ? "/var/lib" : tmpdir();

const started: ChildProcess[] = [];

/** A process of a test's own. */
export interface StartedProcess {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  readonly peer: WorkloadPeer;
  readonly said: string;
  readonly end: () => Promise<void>;
}

/** A process that is there until the test is over, and that answers a line with one when it is as it shall be. */
export async function startProcess(
  command: string,
  args: readonly string[],
  options: {
    readonly uid?: number;
    readonly gid?: number;
    readonly argv0?: string;
    readonly cwd?: string;
  } = {},
): Promise<StartedProcess> {
  const child = spawn(command, args, { ...options, stdio: ["pipe", "pipe", "inherit"] });
  started.push(child);
  child.stdin.write("\n");
  const [said] = await once(child.stdout, "data");
  const end = async () => {
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };
  return { child, peer: peerOf(child.pid ?? 0, options.uid, options.gid), said: String(said), end };
}

/** A process as the kernel would tell of it when it connects. */
export function peerOf(
  pid: number,
  uid = process.getuid?.() ?? 0,
  gid = process.getgid?.() ?? 0,
): WorkloadPeer {
  return { pid, uid, gid, isAlive: () => isRunning(pid) };
}

export function endProcesses(): void {
  for (const child of started.splice(0)) child.kill("SIGKILL");
}

function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name before the last parenthesis may hold anything.
    return !/^\) [ZX] /.test(stat.slice(stat.lastIndexOf(")")));
  } catch {
    return false;
  }
}

function isOther(gid: number): boolean {
  return isRoot || gid !== process.getgid?.();
}

function ascending(a: number, b: number): number {
  return a - b;
}
