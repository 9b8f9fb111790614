import { closeSync, fstatSync, readlinkSync, type Stats } from "node:fs";
import {
  type AgentChecksum,
  agentChecksum,
  checksumSelector,
  parseAgentConfiguration,
} from "@countersign/sdk/model/agent-configuration";
import type { WorkloadPeer } from "../../../domain/svid-source.ts";
import type { WorkloadAttestor } from "./attestor.ts";
import { hasCapabilities } from "./credentials.ts";
import { createOwnMounts, isServedByKernel, type Mount, mountOfFd, readMounts } from "./mounts.ts";
import { exactText, isUnreadable, openPath, readBounded } from "./read-proc.ts";

export interface AgentChecksumDeps {
  /** Whose files count beside root's: our own account. */
  readonly ownUid: number;
}

const manifestBytesMax = 16 * 1024;
const writableByOthers = 0o022;

/**
 * `agent_checksum`: the configuration of the agent, as a manifest says that the workload can't have written, nor chosen
 * where the path is absolute: a file of root or of our own account, in directories that are theirs, reached by no link, on
 * no file system of a user's own. A workload that has privileges of its own could have done all of it: nothing is said.
 *
 * @param path where a workload's manifest lies, see isManifestPath: absolute, as it sees it, or below its working directory
 */
export function createAgentChecksumAttestor({ ownUid }: AgentChecksumDeps, path: string): WorkloadAttestor {
  const names = namesOf(path);
  const ownMounts = createOwnMounts();
  return {
    name: "agent_checksum",
    async attest(peer) {
      if (!isPlainProcess(peer)) return [];
      const own = ownMounts();
      const mounts = readMounts(peer.pid);
      const isTrusted = (fd: number, isLast: boolean) =>
        isOnKernelMount(fd, mounts, own) && isKept(fstatSync(fd), isLast, [0, ownUid], peer.uid);
      const start = `/proc/${peer.pid}/${path.startsWith("/") ? "root" : "cwd"}`;
      const checksum = checksumAt(start, names, isTrusted);
      // Whoever became another since, or got privileges while its file was read, is found out.
      if (checksum === undefined || !isPlainProcess(peer)) return [];
      return [checksumSelector(checksum)];
    },
  };
}

/** Whether a path can be walked down name by name. */
export function isManifestPath(path: string): boolean {
  return namesOf(path).every((name) => name !== "" && name !== "." && name !== ".." && !name.includes("\0"));
}

function namesOf(path: string): readonly string[] {
  return path.replace(/^\//, "").split("/");
}

/** Whether a process has what every process of its user has, and no namespace in which it is more. */
function isPlainProcess(peer: WorkloadPeer): boolean {
  if (peer.uid === 0 || hasCapabilities(peer) !== false) return false;
  try {
    return readlinkSync(`/proc/${peer.pid}/ns/user`) === readlinkSync("/proc/self/ns/user");
  } catch (error) {
    if (isUnreadable(error)) return false;
    throw error;
  }
}

/** Asked before anything of a file is: one of a file system that a process serves may never be told. */
function isOnKernelMount(fd: number, mounts: string, own: readonly Mount[]): boolean {
  const mount = mountOfFd(mounts, fd);
  return mount !== undefined && isServedByKernel(mount, own);
}

/** Whether what lies there is what its keeper put there, whatever the workload did. */
function isKept(stat: Stats, isLast: boolean, keepers: readonly number[], workload: number): boolean {
  if (!keepers.includes(stat.uid) || stat.uid === workload) return false;
  return (isLast ? stat.isFile() : stat.isDirectory()) && (stat.mode & writableByOthers) === 0;
}

/** Walks down from a directory, name by name and through no link; undefined as soon as something is not to be trusted. */
function checksumAt(
  start: string,
  names: readonly string[],
  isTrusted: (fd: number, isLast: boolean) => boolean,
): AgentChecksum | undefined {
  let fd = openPath(start, "follow");
  try {
    for (const name of names) {
      if (fd === undefined || !isTrusted(fd, false)) return undefined;
      const next: number | undefined = openPath(`/proc/self/fd/${fd}/${name}`, "stay");
      closeSync(fd);
      fd = next;
    }
    if (fd === undefined || !isTrusted(fd, true)) return undefined;
    return checksumOf(readBounded(`/proc/self/fd/${fd}`, manifestBytesMax));
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function checksumOf(bytes: string | undefined): AgentChecksum | undefined {
  if (bytes === undefined) return undefined;
  const configuration = parseAgentConfiguration(JSON.parse(exactText(bytes) ?? ""));
  if (configuration === undefined) throw new Error("the manifest is no agent's configuration");
  return agentChecksum(configuration);
}
