import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { advisoryLocks } from "../advisory-locks.ts";
import type { ConnectionTarget, StoreLog } from "../connection.ts";
import { openDataDirectory } from "../data-directory.ts";
import { isConnectionFailure } from "../database-error.ts";
import { readOwnFile } from "../secret-file.ts";
import { discardAbandonedDrafts } from "./abandoned-drafts.ts";
import { warningOfAccount } from "./account.ts";
import { type Binaries, findBinaries } from "./binaries.ts";
import { type Cluster, findCluster, makeCluster, role } from "./cluster.ts";
import { serverPid } from "./process.ts";
import { type Launched, launch, stop } from "./server.ts";
import { openSocketDirectory } from "./socket-directory.ts";

/** A hold on the PostgreSQL of a data directory, which every server process on it shares. */
export interface EmbeddedPostgres {
  readonly target: ConnectionTarget;
  /**
   * Resolves when PostgreSQL answers; starts it again when it is gone. Calls that overlap do it once. It also happens
   * unasked as soon as the connection of this hold breaks.
   *
   * @throws Error when it can't be brought back
   */
  ensureRunning(): Promise<void>;
  /** Gives up the hold; the last one out stops PostgreSQL. */
  close(): Promise<void>;
}

export interface EmbeddedDeps {
  readonly log: StoreLog;
}

const startTimeoutMs = 60_000;
const pollMs = 10;
const launchesMax = 5;
const retryMsMax = 10_000;

/**
 * Starts, or adopts, the PostgreSQL in `<dataDir>/postgres`; makes it, and the data directory, when there is none. Warns
 * when another account than this one runs it.
 *
 * @throws Error in one line when it can't be made or started, or when others could have tampered with it
 */
export async function startEmbeddedPostgres(deps: EmbeddedDeps, dataDir: string): Promise<EmbeddedPostgres> {
  const binaries = findBinaries();
  await openDataDirectory(dataDir);
  let cluster = findCluster(dataDir);
  if (cluster === undefined) {
    await discardAbandonedDrafts(dataDir);
    cluster = await makeCluster(dataDir, binaries);
  }
  const password = await readOwnFile(cluster.passwordFile);
  if (password === undefined) throw new Error(`${cluster.passwordFile} is missing; restore it`);
  const socket = await openSocketDirectory(cluster.directory);
  const target = {
    host: socket.path,
    port: 5432,
    user: role,
    database: role,
    password,
    ssl: false,
  };
  const hold = createHold(
    deps,
    () => accepts(target),
    () => attach(cluster, binaries, target),
  );
  try {
    await hold.ensureRunning();
  } catch (error) {
    await socket.close();
    throw error;
  }
  const warning = warningOfAccount(cluster.directory);
  if (warning !== undefined) deps.log.warn(warning);
  const close = async () => {
    const held = await hold.release();
    if (held !== undefined) await leave(cluster, held);
    await socket.close();
  };
  return { target, ensureRunning: hold.ensureRunning, close };
}

/** Connects and takes the shared lock; launches PostgreSQL as often as it is found not to run. */
async function attach(cluster: Cluster, binaries: Binaries, target: ConnectionTarget): Promise<pg.Client> {
  const deadline = performance.now() + startTimeoutMs;
  let launched: Launched | undefined;
  let launches = 0;
  for (;;) {
    try {
      return await hold(target);
    } catch (error) {
      if (!isConnectionFailure(error)) throw error;
      if (performance.now() > deadline) throw new Error(`PostgreSQL in ${cluster.directory} does not answer`);
    }
    const failure = launched?.failure();
    // While a server is there, ours or another's, it is starting or stopping: wait for what comes of it.
    if ((launched === undefined || failure !== undefined) && serverPid(cluster) === undefined) {
      if (launches >= launchesMax)
        throw new Error(`PostgreSQL in ${cluster.directory} does not start: ${failure}`);
      await delay(launches * launches * 100);
      launched = await launch(cluster, binaries);
      launches++;
    }
    await delay(pollMs);
  }
}

/** Whether PostgreSQL takes a new connection. */
async function accepts(target: ConnectionTarget): Promise<boolean> {
  const client = new pg.Client({
    ...target,
    connectionTimeoutMillis: 5_000,
    application_name: "countersign check",
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return true;
  } catch (error) {
    if (isConnectionFailure(error)) return false;
    throw error;
  } finally {
    client.end().catch(() => undefined);
  }
}

/** A connection that says, for as long as it is open, that one more server needs PostgreSQL. */
async function hold(target: ConnectionTarget): Promise<pg.Client> {
  const client = new pg.Client({
    ...target,
    application_name: "countersign hold",
    connectionTimeoutMillis: 5_000,
    // The lock is waited for while another process stops PostgreSQL, but not forever.
    query_timeout: 10_000,
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("SELECT pg_advisory_lock_shared($1)", [advisoryLocks.serverAlive]);
    return client;
  } catch (error) {
    client.end().catch(() => undefined);
    throw error;
  }
}

/** Keeps one held connection alive until it is released. */
function createHold({ log }: EmbeddedDeps, reach: () => Promise<boolean>, open: () => Promise<pg.Client>) {
  let held: pg.Client | undefined;
  let opening: Promise<void> | undefined;
  let closing = false;

  function ensureRunning(): Promise<void> {
    opening ??= renew().finally(() => {
      opening = undefined;
    });
    return opening;
  }

  async function renew(): Promise<void> {
    if (closing) throw new Error("the store is closed");
    // A connection that still answers proves nothing: its backend may outlive the server for a while.
    if (held !== undefined && (await reach())) return;
    held?.end().catch(() => undefined);
    const client = await open();
    held = client;
    client.once("end", () => {
      if (held === client) held = undefined;
      if (!closing) void restore();
    });
  }

  async function restore(): Promise<void> {
    log.warn("the connection to PostgreSQL broke; bringing it back");
    for (let waitMs = 100; !closing; waitMs = Math.min(waitMs * 2, retryMsMax)) {
      try {
        await ensureRunning();
        return log.info("PostgreSQL answers again");
      } catch (error) {
        log.warn(`PostgreSQL is not back: ${error instanceof Error ? error.message : error}`);
        await delay(waitMs, undefined, { ref: false });
      }
    }
  }

  async function release(): Promise<pg.Client | undefined> {
    closing = true;
    await opening?.catch(() => undefined);
    const client = held;
    held = undefined;
    return client;
  }

  return { ensureRunning, release };
}

/** Gives up the shared lock, and stops PostgreSQL when nobody else holds it. */
async function leave(cluster: Cluster, held: pg.Client): Promise<void> {
  try {
    // Whoever comes now waits for the lock until PostgreSQL is gone, and then starts it anew.
    if (await isLast(held)) await stop(cluster);
  } finally {
    held.end().catch(() => undefined);
  }
}

async function isLast(client: pg.Client): Promise<boolean> {
  try {
    await client.query("SELECT pg_advisory_unlock_shared($1)", [advisoryLocks.serverAlive]);
    const { rows } = await client.query("SELECT pg_try_advisory_lock($1) AS last", [
      advisoryLocks.serverAlive,
    ]);
    return rows[0]?.last === true;
  } catch {
    // PostgreSQL is gone: there is nothing to stop.
    return false;
  }
}
