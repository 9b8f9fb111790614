import type { WorkloadPeer } from "../../../domain/svid-source.ts";
import { linesOf, readBounded } from "./read-proc.ts";

const statusBytesMax = 1024 * 1024;

/**
 * The supplementary groups of a process; undefined when they can't be read.
 *
 * @throws Error when it no longer is who it was when it connected: what runs there now is not who asked
 * @see proc_pid_status(5)
 */
export function supplementaryGids(peer: WorkloadPeer): readonly number[] | undefined {
  const status = statusOf(peer);
  return status === undefined ? undefined : idsIn(status, "Groups");
}

/**
 * Whether a process is root, real or saved, or has any of its privileges; undefined when that can't be read.
 *
 * @throws Error as above
 * @see capabilities(7)
 */
export function hasCapabilities(peer: WorkloadPeer): boolean | undefined {
  const status = statusOf(peer);
  if (status === undefined) return undefined;
  // All that it has or can take up without another program: the effective and the ambient ones are among them.
  const isNone = /^0+$/.test(fieldOf(status, "CapPrm") ?? "");
  return !isNone || idsIn(status, "Uid")?.includes(0) !== false;
}

/**
 * Whether the process under this pid is now of another user or group than the one that connected: it has changed, or has
 * ended and left its pid to somebody else's. Where its status can't be read nothing speaks for that.
 */
export function isAnotherUser(peer: WorkloadPeer): boolean {
  const status = readStatus(peer);
  return status !== undefined && isOfAnother(status, peer);
}

function statusOf(peer: WorkloadPeer): string | undefined {
  const status = readStatus(peer);
  if (status !== undefined && isOfAnother(status, peer))
    throw new Error("the caller has changed its uid or gid");
  return status;
}

function readStatus({ pid }: WorkloadPeer): string | undefined {
  return readBounded(`/proc/${pid}/status`, statusBytesMax);
}

function isOfAnother(status: string, { uid, gid }: WorkloadPeer): boolean {
  // Real, effective, saved, of the file system: a socket tells the effective one.
  return idsIn(status, "Uid")?.[1] !== uid || idsIn(status, "Gid")?.[1] !== gid;
}

function idsIn(status: string, name: string): readonly number[] | undefined {
  return fieldOf(status, name)
    ?.split(/[\t ]+/)
    .filter((text) => /^\d{1,10}$/.test(text))
    .map(Number);
}

function fieldOf(status: string, name: string): string | undefined {
  const line = linesOf(status).find((each) => each.startsWith(`${name}:\t`));
  return line?.slice(name.length + 2);
}

/**
 * Whether a number stands for one user or group alone. To a process in a user namespace of its own, as we may be, all those
 * who have no number in it look like one: the overflow id. @see user_namespaces(7)
 */
export function createIsExactId(kind: "uid" | "gid"): (id: number) => boolean {
  const isEveryone = /^\s*0\s+0\s+4294967295\s*$/.test(readBounded(`/proc/self/${kind}_map`, 65_536) ?? "");
  const overflow = readBounded(`/proc/sys/kernel/overflow${kind}`, 64);
  return (id) => isEveryone || (overflow !== undefined && id !== Number(overflow));
}
