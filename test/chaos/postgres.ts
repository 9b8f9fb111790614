import { readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import type { ConnectionTarget } from "../../src/store/connection.ts";
import { findCluster } from "../../src/store/postgres/cluster.ts";
import { serverPid } from "../../src/store/postgres/process.ts";
import { runSql } from "../harness.ts";
import { until } from "../server.ts";

/** How to reach the embedded PostgreSQL of a data directory. */
export function targetOf(dataDir: string): ConnectionTarget {
  return {
    host: join(dataDir, "postgres"),
    port: 5432,
    user: "countersign",
    database: "countersign",
    password: readFileSync(join(dataDir, "postgres", "password"), "utf8"),
  };
}

/** The process id of the PostgreSQL of a data directory, if it runs: never one that only inherited the number. */
export function postmasterOf(dataDir: string): number | undefined {
  const cluster = findCluster(dataDir);
  return cluster && serverPid(cluster);
}

/** kill -9 of PostgreSQL's first process. */
export function killPostmaster(dataDir: string): void {
  const pid = postmasterOf(dataDir);
  if (pid !== undefined) sendIfThere(pid, "SIGKILL");
}

/** Runs one statement on the embedded PostgreSQL of a data directory; what it yields are the rows. */
export async function sqlOf(dataDir: string, sql: string): Promise<readonly Record<string, unknown>[]> {
  return (await runSql(targetOf(dataDir), sql)).rows;
}

/** kill -9 of one process that works for a server, whichever is busiest. */
export async function killBackend(dataDir: string): Promise<void> {
  const client = await connect(targetOf(dataDir));
  try {
    const { rows } = await client.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE application_name = 'countersign' AND pid <> pg_backend_pid()
       ORDER BY state = 'active' DESC, random() LIMIT 1`,
    );
    for (const { pid } of rows) sendIfThere(pid, "SIGKILL");
  } finally {
    client.end().catch(() => undefined);
  }
}

/** Stops the clock of every process of a PostgreSQL: it neither answers nor goes away. What it yields lets it go on. */
export async function freeze(dataDir: string): Promise<() => void> {
  const client = await connect(targetOf(dataDir));
  const postmaster = postmasterOf(dataDir);
  if (postmaster === undefined) throw new Error("PostgreSQL does not run");
  const frozen: number[] = [];
  const stop = (pid: number) => {
    sendIfThere(pid, "SIGSTOP");
    frozen.unshift(pid);
  };
  // First the one that makes others.
  stop(postmaster);
  const { rows } = await client.query<{ pid: number; own: boolean }>(
    "SELECT pid, pid = pg_backend_pid() AS own FROM pg_stat_activity",
  );
  for (const { pid, own } of rows) if (!own) stop(pid);
  await client.end();
  return () => {
    for (const pid of frozen.splice(0)) sendIfThere(pid, "SIGCONT");
  };
}

/** Waits until no process of a PostgreSQL that was killed is left. */
export async function untilGone(pid: number | undefined): Promise<void> {
  await until("PostgreSQL's end", () => pid === undefined || !sendIfThere(pid, 0));
}

async function connect(target: ConnectionTarget): Promise<pg.Client> {
  const client = new pg.Client({ ...target, connectionTimeoutMillis: 5_000 });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** Whether there was such a process. */
export function sendIfThere(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
