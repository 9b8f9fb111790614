import { closeSync, readFileSync } from "node:fs";
import type { Server, Socket } from "node:net";
import type { WorkloadPeer } from "../domain/svid-source.ts";
import type { Kernel } from "./kernel.ts";

/** Which container a process is in; undefined for none. */
export type ContainerOf = (pid: number) => string | undefined;

/** A peer that is known by a handle which has to be given back. */
export interface OpenPeer extends WorkloadPeer {
  readonly close: () => void;
}

/**
 * Who is at the other end of an accepted Unix socket: the process that connected, which its kernel vouches for. Where the
 * kernel has no handle for it, the time when it started tells it from a later one under the same pid: one that was there
 * before anybody could have made this connection made it.
 *
 * @param connectedAfter when no connection waited yet, in ticks since the machine started; for kernels without handles
 * @param containerOf which container the process of a pid is in
 * @throws Error when it is of another pid namespace, gone already, or, without a handle, too young to be told from another
 */
export function openPeer(
  kernel: Kernel,
  socket: Socket,
  connectedAfter: () => number,
  containerOf: ContainerOf = () => undefined,
): OpenPeer {
  const fd = fdOf(socket);
  const credentials = kernel.peerCredentials(fd);
  if (credentials.pid <= 0) throw new Error("the caller is outside our pid namespace");
  // Before it is looked whether that process is there still: what was read is its own, and no later one's under its pid.
  const container = containerOf(credentials.pid);
  const handle = kernel.peerHandle(fd);
  const isAlive =
    handle === undefined ? aliveByStart(credentials.pid, connectedAfter()) : () => !kernel.hasEnded(handle);
  let isOpen = true;
  const close = () => {
    if (isOpen && handle !== undefined) closeSync(handle);
    isOpen = false;
  };
  const peer = { ...credentials, container, isAlive: () => isOpen && isAlive(), close };
  if (peer.isAlive()) return peer;
  close();
  throw new Error(handle === undefined ? "the caller has ended, or only just begun" : "the caller has ended");
}

/** Tells whether the process that has this pid now, and had it before that tick, still has it. */
export function aliveByStart(pid: number, beforeTicks: number, startOf = startTimeOf): () => boolean {
  const start = startOf(pid);
  return () => start !== undefined && Number(start) < beforeTicks && startOf(pid) === start;
}

/** When a process started, in ticks since the machine did; undefined for one that has ended. @see proc_pid_stat(5) */
function startTimeOf(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The second field is a name in parentheses that the process chose: it may hold anything.
  const [state = "X", ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return state === "Z" || state === "X" ? undefined : fields[18];
}

/** The descriptor of an open socket. @throws Error when it is closed */
export function fdOf(socket: Socket | Server): number {
  // Node keeps the descriptor here, in each version that package.json allows.
  const { _handle: handle } = socket as (Socket | Server) & {
    readonly _handle?: { readonly fd?: number } | null;
  };
  if (handle?.fd === undefined || handle.fd < 0) throw new Error("the caller has hung up");
  return handle.fd;
}
