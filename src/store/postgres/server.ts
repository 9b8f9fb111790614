import { spawn } from "node:child_process";
import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { chooseAccount, programEnvironment } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import type { Cluster } from "./cluster.ts";
import { isServerOf, killOrphans, removeStaleLockFile, serverPid, signal } from "./process.ts";

/** Settings that hold on every start, whatever the cluster's own files say. */
const settings = {
  listen_addresses: "",
  // Relative to the data directory, so that a long path is no obstacle.
  unix_socket_directories: "..",
  unix_socket_permissions: "0700",
  max_connections: "100",
  shared_buffers: "64MB",
  wal_buffers: "8MB",
  max_wal_size: "1GB",
  checkpoint_timeout: "15min",
  max_wal_senders: "0",
  random_page_cost: "1.1",
  jit: "off",
  // One process instead of four; the ledger is written, and read from cache.
  io_method: "sync",
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  restart_after_crash: "on",
  timezone: "UTC",
  log_timezone: "UTC",
  log_checkpoints: "off",
  // Lower levels quote statements and values.
  log_min_messages: "fatal",
  log_error_verbosity: "terse",
  cluster_name: "countersign",
};

const logBytesMax = 1_000_000;
const stopTimeoutMs = 60_000;

/** A PostgreSQL that this process has launched. It outlives us: who comes next adopts it. */
export interface Launched {
  /** Undefined while it runs. */
  failure(): string | undefined;
}

/** Launches PostgreSQL on the cluster. Of several launched at once on one cluster all but one fail. */
export async function launch(cluster: Cluster, binaries: Binaries): Promise<Launched> {
  removeStaleLockFile(cluster);
  killOrphans(cluster);
  const account = await chooseAccount(cluster.directory, binaries.postgres);
  const options = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const [file = "", ...parameters] = [...account.prefix, binaries.postgres, "-D", cluster.data, ...options];
  const log = openLog(cluster.logFile);
  const logStart = fstatSync(log).size;
  const child = spawn(file, parameters, {
    env: programEnvironment,
    cwd: "/",
    // Its own session: Ctrl-C in our terminal must not reach it.
    detached: true,
    stdio: ["ignore", log, log],
    ...account.spawnAs,
  });
  closeSync(log);
  child.unref();
  let failure: (() => string) | undefined;
  child.on("error", (error) => {
    failure = () => error.message;
  });
  child.on("exit", () => {
    failure = () => lastComplaint(cluster.logFile, logStart);
  });
  return { failure: () => failure?.() };
}

/**
 * Stops the cluster's PostgreSQL: clients are disconnected, then everything is written out.
 *
 * @throws Error when it still runs after a minute
 */
export async function stop(cluster: Cluster): Promise<void> {
  const pid = serverPid(cluster);
  if (pid === undefined) return;
  signal(pid, "SIGINT");
  const deadline = performance.now() + stopTimeoutMs;
  // Its lock file goes a little before itself.
  while (isServerOf(cluster, pid)) {
    if (performance.now() > deadline) throw new Error(`PostgreSQL (process ${pid}) does not stop`);
    await delay(5);
  }
}

/** Opened without following links, for root writes here into a directory of someone who has less power. */
function openLog(path: string): number {
  const flags = constants.O_CREAT | constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW;
  const log = openSync(path, flags, 0o600);
  if (fstatSync(log).size <= logBytesMax) return log;
  closeSync(log);
  renameSync(path, `${path}.previous`);
  return openSync(path, flags, 0o600);
}

function lastComplaint(logFile: string, start: number): string {
  const lines = readFileSync(logFile).subarray(start).toString("utf8").trim().split("\n");
  return lines.findLast((line) => /FATAL|PANIC|error/i.test(line)) ?? lines.at(-1) ?? "no reason given";
}
