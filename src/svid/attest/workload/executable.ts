import { createHash } from "node:crypto";
import { closeSync, fstat, readlinkSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { promisify } from "node:util";
import type { CostlyKind } from "../../../domain/entry-index.ts";
import type { WorkloadPeer } from "../../../domain/svid-source.ts";
import { fileVersion } from "./account-names.ts";
import { createOwnMounts, isServedByKernel, type Mount, mountOf, mountOfFd, readMounts } from "./mounts.ts";
import { exactText, isUnreadable, openPath } from "./read-proc.ts";

export interface Executable {
  /** Absolute, and only where it names the file that runs to us too. */
  readonly path: string | undefined;
  /** In hex. */
  readonly sha256: string | undefined;
}

const statOf = promisify(fstat);
const executableBytesMax = 512 * 1024 * 1024;
const chunkBytes = 1024 * 1024;
const hashesMax = 1_024;
/** A file that changed this recently may change again within the same tick of the clock of its file system. */
const settledMs = 2_000;
const unknown: Executable = { path: undefined, sha256: undefined };

export interface ExecutableDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * What the process runs, whatever lies under its path by now. Nothing is told, nor read, of a file on a file system that
 * a user may have mounted: such a one says at each read what its owner likes, or never answers.
 */
export function createExecutables({
  now,
}: ExecutableDeps): (peer: WorkloadPeer, wanted: ReadonlySet<CostlyKind>) => Promise<Executable> {
  const ownMounts = createOwnMounts();
  const hashes = createHashes();
  const turns = new Map<number, Promise<unknown>>();

  /** By a file that was named alone: what is known of it already takes no opening. */
  async function sha256Of(fd: number, uid: number): Promise<string | undefined> {
    const known = hashes.get(fileVersion(await statOf(fd, { bigint: true })));
    return known ?? inTurn(uid, () => readSha256(fd));
  }

  async function readSha256(fd: number): Promise<string | undefined> {
    const file = await open(`/proc/self/fd/${fd}`, "r");
    try {
      const stat = await file.stat({ bigint: true });
      const version = fileVersion(stat);
      // Whoever was before us in turn may have read the same file.
      const known = hashes.get(version);
      if (known !== undefined) return known;
      if (!stat.isFile() || stat.size > executableBytesMax) return undefined;
      const isSettled = now() - Number(stat.ctimeMs) > settledMs;
      const hash = await hashOf(file);
      if (fileVersion(await file.stat({ bigint: true })) !== version) return undefined;
      if (isSettled && hash !== undefined) hashes.set(version, hash);
      return hash;
    } finally {
      await file.close();
    }
  }

  /** One at a time for each user: who makes us read much waits for it alone. */
  async function inTurn<T>(uid: number, work: () => Promise<T>): Promise<T> {
    const turn = (turns.get(uid) ?? Promise.resolve()).then(work, work);
    turns.set(uid, turn);
    try {
      return await turn;
    } finally {
      if (turns.get(uid) === turn) turns.delete(uid);
    }
  }

  return async ({ pid, uid }, wanted) => {
    if (!wanted.has("unix:path") && !wanted.has("unix:sha256")) return unknown;
    const fd = openPath(`/proc/${pid}/exe`, "follow");
    if (fd === undefined) return unknown;
    try {
      const own = ownMounts();
      const mount = mountOfFd(readMounts(pid), fd);
      if (mount === undefined || !isServedByKernel(mount, own)) return unknown;
      const link = readlinkSync(`/proc/self/fd/${fd}`, "latin1");
      const sha256 = wanted.has("unix:sha256") ? await sha256Of(fd, uid) : undefined;
      return { path: exactPath(link, mount, own), sha256 };
    } catch (error) {
      if (isUnreadable(error)) return unknown;
      throw error;
    } finally {
      closeSync(fd);
    }
  };
}

/** Hashes by file version: those that were asked for last. */
function createHashes() {
  const held = new Map<string, string>();
  function set(version: string, hash: string): void {
    // Those that were asked for longest ago stand first.
    held.delete(version);
    held.set(version, hash);
    const [oldest] = held.keys();
    if (held.size > hashesMax && oldest !== undefined) held.delete(oldest);
  }
  function get(version: string): string | undefined {
    const hash = held.get(version);
    if (hash !== undefined) set(version, hash);
    return hash;
  }
  return { get, set };
}

/**
 * The path, where it leads to the same directory of the same file system for us as for the process: one in another mount
 * namespace may have put any file under any path.
 */
export function exactPath(link: string, mount: Mount, own: readonly Mount[]): string | undefined {
  // The kernel marks what was removed like this; a file that is called so can't be told from one.
  if (!link.startsWith("/") || link.endsWith(" (deleted)") || mount.root.endsWith("//deleted"))
    return undefined;
  const ours = mountOf(own, link);
  const isSame =
    ours?.device === mount.device && ours.root === mount.root && ours.mountPoint === mount.mountPoint;
  return isSame ? exactText(link) : undefined;
}

/** Undefined when it turns out to be longer than what is read. */
async function hashOf(file: FileHandle): Promise<string | undefined> {
  const hash = createHash("sha256");
  const chunk = Buffer.allocUnsafe(chunkBytes);
  for (let bytes = 0; bytes <= executableBytesMax; ) {
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, bytes);
    if (bytesRead === 0) return hash.digest("hex");
    hash.update(chunk.subarray(0, bytesRead));
    bytes += bytesRead;
  }
  return undefined;
}
