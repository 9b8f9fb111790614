import { closeSync } from "node:fs";
import { constants } from "node:os";

/** Who connected to a socket, as the kernel noted it then. */
export interface PeerCredentials {
  /** 0: a process outside our pid namespace. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** What Linux is asked directly, since Node has no words for it. File descriptors are numbers, errors are thrown. */
export interface Kernel {
  /** @see socket(7), SO_PEERCRED */
  readonly peerCredentials: (socketFd: number) => PeerCredentials;
  /**
   * A handle on the process that connected, which no later process under its pid shares. To be closed by who asked for it.
   *
   * @returns undefined on a kernel before 6.5, which has none
   * @see socket(7), SO_PEERPIDFD
   */
  readonly peerHandle: (socketFd: number) => number | undefined;
  /** Whether it has such handles. */
  readonly hasPeerHandles: boolean;
  /** Whether connections wait at a listening socket to be accepted. @see poll(2) */
  readonly hasWaiting: (listeningFd: number) => boolean;
  /** Whether the process of a handle has ended. @see pidfd_open(2) */
  readonly hasEnded: (handle: number) => boolean;
  /** How many descriptors this process may have open. @see getrlimit(2), RLIMIT_NOFILE */
  readonly descriptorsMax: () => number;
  /** Takes the lock of an open file or directory, unless another has it; it ends with the descriptor. @see flock(2) */
  readonly tryLock: (fd: number) => boolean;
}

// The generic ABI's numbers, which x86-64 and AArch64 have.
const familyUnix = 1;
const typeStream = 1;
const levelSocket = 1;
const optionPeerCredentials = 17;
const optionPeerPidFd = 77;
const pollIn = 1;
const lockExclusiveNow = 2 | 4;
const resourceDescriptors = 7;

/**
 * Opens the C library.
 *
 * @throws Error in one line on another system than Linux
 */
export async function openKernel(platform: NodeJS.Platform = process.platform): Promise<Kernel> {
  if (platform !== "linux") {
    throw new Error(
      "the Workload API needs Linux, whose kernel tells which process calls; all else is served",
    );
  }
  const { default: koffi } = await import("koffi");
  const c = koffi.load(null);
  const getsockopt = c.func(
    "int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)",
  );
  const poll = c.func("int poll(_Inout_ uint8_t *fds, unsigned long count, int timeoutMs)");
  const flock = c.func("int flock(int fd, int operation)");
  const getrlimit = c.func("int getrlimit(int resource, _Out_ uint8_t *limit)");
  const socketpair = c.func("int socketpair(int family, int type, int protocol, _Out_ int *fds)");

  function failure(call: string): Error {
    return Object.assign(new Error(`${call} failed: errno ${koffi.errno()}`), { errno: koffi.errno() });
  }

  function socketOption(fd: number, name: number, value: Buffer): void {
    if (getsockopt(fd, levelSocket, name, value, [value.length]) !== 0) throw failure("getsockopt");
  }

  function isReady(fd: number): boolean {
    const asked = Buffer.alloc(8);
    asked.writeInt32LE(fd, 0);
    asked.writeInt16LE(pollIn, 4);
    let ready = poll(asked, 1, 0);
    // A signal that comes meanwhile, such as a profiler's, says nothing.
    while (ready < 0 && koffi.errno() === constants.errno.EINTR) ready = poll(asked, 1, 0);
    return ready !== 0;
  }

  function peerHandle(fd: number): number | undefined {
    const value = Buffer.alloc(4);
    try {
      socketOption(fd, optionPeerPidFd, value);
    } catch (error) {
      if (koffi.errno() === constants.errno.ENOPROTOOPT) return undefined;
      throw error;
    }
    return value.readInt32LE(0);
  }

  /** Asks it for a handle on ourselves. */
  function findPeerHandles(): boolean {
    const ends = [-1, -1];
    if (socketpair(familyUnix, typeStream, 0, ends) !== 0) throw failure("socketpair");
    const [end = -1] = ends;
    const handle = peerHandle(end);
    for (const fd of handle === undefined ? ends : [...ends, handle]) closeSync(fd);
    return handle !== undefined;
  }

  return {
    hasPeerHandles: findPeerHandles(),
    peerHandle,
    // Whatever else it says is no sign of life, nor of an empty queue.
    hasEnded: isReady,
    hasWaiting: isReady,
    peerCredentials(fd) {
      const value = Buffer.alloc(12);
      socketOption(fd, optionPeerCredentials, value);
      return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
    },
    descriptorsMax() {
      const limit = Buffer.alloc(16);
      if (getrlimit(resourceDescriptors, limit) !== 0) throw failure("getrlimit");
      return Number(limit.readBigUInt64LE(0));
    },
    tryLock(fd) {
      if (flock(fd, lockExclusiveNow) === 0) return true;
      if (koffi.errno() === constants.errno.EWOULDBLOCK) return false;
      throw failure("flock");
    },
  };
}
