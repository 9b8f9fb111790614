import type { Socket } from "node:net";
import type { Logger } from "pino";
import { boundedAs } from "../domain/bounded-as.ts";
import type { WorkloadPeer } from "../domain/svid-source.ts";
import type { AcceptQueue } from "./accept-queue.ts";
import type { Kernel } from "./kernel.ts";
import { type ContainerOf, openPeer } from "./peer.ts";
import type { Places } from "./places.ts";

/** A stream of answers that is open. */
export interface OpenStream {
  /** Sends nothing any more. */
  readonly stop: () => void;
  /** Tells the caller that the server is stopping, and stops. */
  readonly end: () => void;
}

/** A connection of a workload. */
export interface Connection {
  readonly peer: WorkloadPeer;
  /** They end with it, whatever else goes wrong. */
  readonly streams: Set<OpenStream>;
}

/** A call, or a connection, that was refused for what it is. Each is one of a fixed set of words: nothing in it is the caller's. */
export interface RefusedCall {
  /** The code of the error. */
  readonly reason: string;
  /** The method, or `workload.sock` for a connection. */
  readonly endpoint: string;
}

export interface ConnectionDeps {
  readonly kernel: Kernel;
  readonly queue: Pick<AcceptQueue, "emptyAtTicks">;
  readonly logger: Logger;
  readonly places: Places;
  readonly containerOf: ContainerOf;
  readonly onRefused: (refused: RefusedCall) => void;
  /** How long a connection may be open before it has begun to speak HTTP/2. */
  readonly muteMs: number;
  /** Hands the connection to the server, which knows it by its `remoteAddress` from then on. */
  readonly inject: (socket: Socket) => void;
}

export interface Connections {
  /** Takes an accepted socket in, or cuts it. */
  readonly admit: (socket: Socket) => void;
  /** @param name what a call says of its peer; undefined for one whose connection is over */
  readonly find: (name: string) => Connection | undefined;
  readonly all: () => Iterable<Connection>;
  /** Waits until all are gone; those that are left after this time are cut. */
  readonly close: (drainMs: number) => Promise<void>;
}

const endpoint = "workload.sock";
/** The preface, and the frame that follows it, which may say nothing. @see RFC 9113, section 3.4 */
const leastOctets = 24 + 9;

/** No connection yet. */
export function createConnections({
  kernel,
  queue,
  logger,
  places,
  containerOf,
  onRefused,
  muteMs,
  inject,
}: ConnectionDeps): Connections {
  const open = new Map<string, Connection>();
  const sockets = new Set<Socket>();
  let serial = 0;
  let toldOfLimit = false;
  let onAllGone: () => void = () => undefined;

  function placeFor(peer: WorkloadPeer): (() => void) | undefined {
    const { uid, container } = peer;
    const leave = places.take(boundedAs(peer));
    // One line an episode: who fills the places would fill the log as well.
    if (leave === undefined && !toldOfLimit)
      logger.warn({ uid, container }, "too many connections to the Workload API");
    toldOfLimit = leave === undefined;
    return leave;
  }

  function admit(socket: Socket): void {
    sockets.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      if (sockets.size === 0) onAllGone();
    });
    // A connection that breaks says so in its end; the server looks for errors only once it has it.
    socket.on("error", () => undefined);
    try {
      take(socket);
    } catch (err) {
      logger.info({ err }, "a connection to the Workload API was refused");
      onRefused({ reason: "not_attested", endpoint });
      socket.destroy();
    }
  }

  function take(socket: Socket): void {
    const peer = openPeer(kernel, socket, queue.emptyAtTicks, containerOf);
    const leave = placeFor(peer);
    if (leave === undefined) {
      onRefused({ reason: "too_many_requests", endpoint });
      peer.close();
      socket.destroy();
      return;
    }
    const name = `workload-${++serial}`;
    const connection = { peer, streams: new Set<OpenStream>() };
    open.set(name, connection);
    const mute = setTimeout(() => {
      if (socket.bytesRead < leastOctets) socket.destroy();
    }, muteMs).unref();
    socket.once("close", () => {
      clearTimeout(mute);
      open.delete(name);
      leave();
      for (const stream of connection.streams) stream.stop();
      peer.close();
    });
    // A Unix socket has no address of its own, and this is what a call tells of its connection.
    Object.defineProperty(socket, "remoteAddress", { value: name });
    inject(socket);
  }

  async function close(drainMs: number): Promise<void> {
    if (sockets.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    onAllGone = resolve;
    const timer = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, drainMs);
    await promise;
    clearTimeout(timer);
  }

  return { admit, find: (name) => open.get(name), all: () => open.values(), close };
}
