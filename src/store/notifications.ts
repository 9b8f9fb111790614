import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { type ConnectionTarget, type StoreLog, socketsWithoutSilence } from "./connection.ts";

/** What one listener wants to hear. */
export interface Listener {
  readonly onMessage: (payload: string) => void;
  /** Messages may have been lost: the connection had broken and listens again. */
  readonly onGap: () => void;
}

export interface Notifications {
  /** Resolves when the channel is being listened to; what it yields ends that. */
  listen(channel: string, listener: Listener): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

const connectTimeoutMs = 5_000;
const pingMs = 10_000;
// Two pings without an answer.
const silenceMs = 20_000;
const retryMsMax = 5_000;

/**
 * Listens on one connection of its own, opened at the first listener and opened again when it breaks. A notification
 * may be lost with its connection, so nothing may rest on it but speed.
 */
export function createNotifications(target: ConnectionTarget, log: StoreLog): Notifications {
  const listeners = new Map<string, Set<Listener>>();
  let connection: Promise<pg.Client> | undefined;
  let closed = false;
  const pinging = setInterval(() => void ping(), pingMs).unref();

  async function open(): Promise<pg.Client> {
    const client = new pg.Client({
      ...target,
      application_name: "countersign listen",
      connectionTimeoutMillis: connectTimeoutMs,
      stream: socketsWithoutSilence(silenceMs),
    });
    client.on("error", () => undefined);
    client.on("notification", ({ channel, payload = "" }) => {
      for (const { onMessage } of listeners.get(channel) ?? []) onMessage(payload);
    });
    try {
      await client.connect();
      for (const channel of listeners.keys())
        await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
    } catch (error) {
      client.end().catch(() => undefined);
      throw error;
    }
    client.once("end", () => void restore(client));
    return client;
  }

  function connected(): Promise<pg.Client> {
    if (closed) return Promise.reject(new Error("the store is closed"));
    connection ??= open().catch((error: unknown) => {
      connection = undefined;
      throw error;
    });
    return connection;
  }

  async function restore(broken: pg.Client): Promise<void> {
    connection = undefined;
    broken.removeAllListeners("notification");
    for (let waitMs = 50; !closed && listeners.size > 0; waitMs = Math.min(waitMs * 2, retryMsMax)) {
      try {
        await connected();
        for (const listener of [...listeners.values()].flatMap((set) => [...set])) listener.onGap();
        return;
      } catch {
        log.warn("not listening to the database; caches may be stale until it is back");
        await delay(waitMs, undefined, { ref: false });
      }
    }
  }

  /** Gives the connection a reason to answer; silence ends it, and that brings a new one. */
  async function ping(): Promise<void> {
    const client = await connection?.catch(() => undefined);
    await client?.query("SELECT 1").catch(() => undefined);
  }

  async function listen(channel: string, listener: Listener): Promise<() => Promise<void>> {
    const set = listeners.get(channel) ?? new Set();
    listeners.set(channel, set.add(listener));
    try {
      const client = await connected();
      await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
    } catch (error) {
      forget(channel, listener);
      throw error;
    }
    return async () => {
      if (!forget(channel, listener)) return;
      const client = await connection?.catch(() => undefined);
      await client?.query(`UNLISTEN ${client.escapeIdentifier(channel)}`).catch(() => undefined);
    };
  }

  /** Whether nobody is left on the channel. */
  function forget(channel: string, listener: Listener): boolean {
    const set = listeners.get(channel);
    set?.delete(listener);
    if (set === undefined || set.size > 0) return false;
    return listeners.delete(channel);
  }

  async function close(): Promise<void> {
    closed = true;
    clearInterval(pinging);
    const client = await connection?.catch(() => undefined);
    await client?.end().catch(() => undefined);
  }

  return { listen, close };
}
