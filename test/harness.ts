import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import type { ConnectionTarget, StoreLog } from "../src/store/connection.ts";
import { connectDatabase, type Database } from "../src/store/database.ts";

/** A migrated, empty database of a test's own. */
export interface TestDatabase {
  readonly db: Database;
  /** For a second handle on the same database. */
  readonly target: ConnectionTarget;
  /** Closes `db` and drops the database, whoever else is connected to it. */
  close(): Promise<void>;
}

/** Says nothing. */
export const silentLog: StoreLog = { info: () => undefined, warn: () => undefined };

/** Makes a fresh database in the PostgreSQL of this run. Close it when done: `afterAll(() => database.close())`. */
export async function openTestDatabase(): Promise<TestDatabase> {
  const { target: server, template } = inject("postgres");
  const name = `test_${randomBytes(6).toString("hex")}`;
  await runSql(server, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  const target = { ...server, database: name };
  const db = connectPatiently(target);
  const close = async () => {
    await db.close();
    await dropDatabase(server, name);
  };
  return { db, target, close };
}

/**
 * Drops a database, whoever else is connected to it. Not WITH (FORCE): that is refused to an account like ours while
 * autovacuum works in the database, which a plain DROP sends away by itself.
 */
export async function dropDatabase(server: ConnectionTarget, name: string | undefined): Promise<void> {
  await runSql(
    server,
    `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '${name}' AND usename = current_user`,
  );
  await runSql(server, `DROP DATABASE ${name}`);
}

/** A handle that gives a machine which is slow for a while more time than the product would. */
export function connectPatiently(target: ConnectionTarget, connectionsMax = 10): Database {
  const limits = {
    connectionsMax,
    connectTimeoutMs: 30_000,
    statementTimeoutMs: 30_000,
    silenceMs: 40_000,
  };
  return connectDatabase({ log: silentLog }, target, limits);
}

/** Runs one statement on a connection of its own. */
export async function runSql(target: ConnectionTarget, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client(target);
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}
