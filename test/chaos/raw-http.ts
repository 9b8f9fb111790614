import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "../server.ts";

/** A connection on which a test writes what no HTTP client would. */
export interface RawConnection {
  write(text: string): void;
  /** Everything that came so far. */
  received(): string;
  /** Waits until the server has said something of this kind. */
  hears(pattern: RegExp): Promise<void>;
  /** Resolves when the connection is over, however it ends. */
  readonly closed: Promise<void>;
  close(): void;
}

/** Connects to a server. */
export async function connectRaw(server: { readonly url: string }): Promise<RawConnection> {
  const { hostname, port } = new URL(server.url);
  const socket = connect({ host: hostname, port: Number(port) });
  await once(socket, "connect");
  let received = "";
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
  });
  // A reset is an end like any other; what was received until then tells what it meant.
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return {
    write: (text) => socket.write(text, "latin1"),
    received: () => received,
    hears: (pattern) => until(`an answer like ${pattern}`, () => pattern.test(received)),
    closed,
    close: () => socket.destroy(),
  };
}

/** Writes a character now and then, until the connection is over. */
export async function trickle(connection: RawConnection, text: string, everyMs: number): Promise<void> {
  let over = false;
  void connection.closed.then(() => {
    over = true;
  });
  for (let at = 0; !over; at++) {
    connection.write(text[at % text.length] ?? "");
    await delay(everyMs);
  }
}
