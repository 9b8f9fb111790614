import { Socket } from "node:net";
import type { ClientConfig } from "pg";

/** How to reach a database. */
export type ConnectionTarget = Pick<
  ClientConfig,
  "connectionString" | "host" | "port" | "user" | "password" | "database" | "ssl"
>;

/** Where the store tells what operators should know; a pino logger fits. */
export interface StoreLog {
  info(message: string): void;
  warn(message: string): void;
}

/**
 * Makes sockets (for pg's `stream`) that are destroyed when nothing has moved for `silenceMs`. A server that hangs or a
 * network that swallows packets then ends the connection, and with it whatever waited for an answer.
 */
export function socketsWithoutSilence(silenceMs: number): () => Socket {
  return () => {
    const socket = new Socket();
    return socket.setTimeout(silenceMs, () =>
      socket.destroy(new Error("Connection terminated: the database is silent")),
    );
  };
}
