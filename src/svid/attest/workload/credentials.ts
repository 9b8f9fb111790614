import type { WorkloadPeer } from "../../../domain/svid-source.ts";
import { linesOf, readBounded } from "./read-proc.ts";

const statusBytesMax = 1024 * 1024;

/**
 * The supplementary groups of a process; undefined when they can't be read.
 *
 * @throws Error when it no longer is who it was when it connected: what runs there now is not who asked
 * @see proc_pid_status(5)
 */
export function supplementaryGids({ pid, uid, gid }: WorkloadPeer): readonly number[] | undefined {
  const status = readBounded(`/proc/${pid}/status`, statusBytesMax);
  if (status === undefined) return undefined;
  const [uids, gids, groups] = ["Uid", "Gid", "Groups"].map((field) => fieldOf(status, field));
  // Real, effective, saved, of the file system: a socket tells the effective one.
  if (uids?.[1] !== uid || gids?.[1] !== gid) throw new Error("the caller has changed its uid or gid");
  return groups;
}

function fieldOf(status: string, name: string): readonly number[] | undefined {
  const line = linesOf(status).find((each) => each.startsWith(`${name}:\t`));
  return line
    ?.slice(name.length + 2)
    .split(/[\t ]+/)
    .filter((text) => /^\d{1,10}$/.test(text))
    .map(Number);
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
