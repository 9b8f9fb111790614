import { once } from "node:events";
import { constants, type Stats } from "node:fs";
import { lstat, open, unlink } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Kernel } from "./kernel.ts";

/** Another server serves the socket: nothing is wrong, but there is no place for this one. */
export class SocketTakenError extends Error {
  override readonly name = "SocketTakenError";
}

const lockTriesMax = 500;
const lockRetryMs = 10;
/** As many may connect at once before we have taken any; the kernel has a bound of its own, as a rule the same. @see listen(2) */
const backlogMax = 4_096;

/**
 * Listens at a Unix socket that every user of the machine may connect to, if its directory lets them through. What a dead
 * server left there is removed; a live one's socket, and anything that is no socket, stays. Closing the server removes it.
 *
 * @throws SocketTakenError; Error in one line for what is no socket; what the system says otherwise
 */
export async function listenAt(
  kernel: Kernel,
  path: string,
  onConnection: (socket: Socket) => void,
): Promise<Server> {
  // Of several servers that start at once, each looks, removes and binds before the next one looks.
  const directory = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (let tries = 1; !kernel.tryLock(directory.fd); tries++) {
      if (tries === lockTriesMax)
        throw new SocketTakenError(`${dirname(path)} stays locked by another server`);
      await delay(lockRetryMs);
    }
    await removeAbandoned(path);
    const server = createServer(onConnection);
    server.listen({ path, backlog: backlogMax, readableAll: true, writableAll: true });
    await once(server, "listening");
    return server;
  } finally {
    await directory.close();
  }
}

async function removeAbandoned(path: string): Promise<void> {
  const standing: Stats | undefined = await lstat(path).catch((error: unknown) => orAbsent(error, "ENOENT"));
  if (standing === undefined) return;
  if (!standing.isSocket()) throw new Error(`${path} is no socket; move it away`);
  if (await isServed(path)) throw new SocketTakenError(`${path} is served by another server`);
  await unlink(path);
}

async function isServed(path: string): Promise<boolean> {
  const probe = connect(path);
  try {
    await once(probe, "connect");
    return true;
  } catch (error) {
    // Nobody listens. A queue that is full, for one, is somebody's.
    orAbsent(error, "ECONNREFUSED");
    return false;
  } finally {
    probe.destroy();
  }
}

function orAbsent(error: unknown, code: string): undefined {
  if (error instanceof Error && "code" in error && error.code === code) return undefined;
  throw error;
}
