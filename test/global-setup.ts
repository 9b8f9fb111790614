import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { TestProject } from "vitest/node";
import type { ConnectionTarget } from "../src/store/connection.ts";
import { migrate } from "../src/store/migrate.ts";
import { findCluster } from "../src/store/postgres/cluster.ts";
import { startEmbeddedPostgres } from "../src/store/postgres/embedded.ts";
import { commandOf, isAlive, signal } from "../src/store/postgres/process.ts";
import { stop } from "../src/store/postgres/server.ts";

/** How a test file reaches the PostgreSQL of this run, and which database it copies. */
export interface TestPostgres {
  readonly target: ConnectionTarget;
  readonly template: string;
}

declare module "vitest" {
  export interface ProvidedContext {
    postgres: TestPostgres;
  }
}

const prefix = "countersign-test-";
const template = "countersign_template";

/**
 * Starts one throwaway PostgreSQL for the whole run, with a migrated database to copy; what it yields removes both. With
 * TEST_POSTGRES, a connection target as JSON, the throwaway one that somebody else has started is used.
 */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  await removeAbandoned();
  const { TEST_POSTGRES: given } = process.env;
  if (given !== undefined) return void (await provide(project, JSON.parse(given)));
  const dataDir = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
  chmodSync(dataDir, 0o755);
  const postgres = await startEmbeddedPostgres(
    { log: { info: () => undefined, warn: console.warn } },
    dataDir,
  );
  const teardown = async () => {
    await postgres.close();
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    await provide(project, postgres.target);
  } catch (error) {
    await teardown();
    throw error;
  }
  return teardown;
}

async function provide(project: TestProject, target: ConnectionTarget): Promise<void> {
  const client = new pg.Client(target);
  await client.connect();
  await client.query(`CREATE DATABASE ${template}`);
  await client.end();
  await migrate({ ...target, database: template });
  project.provide("postgres", { target, template });
}

/** Stops and removes what runs that were killed left behind. */
async function removeAbandoned(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const owner = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    const dataDir = join(tmpdir(), name);
    try {
      await remove(dataDir);
    } catch (error) {
      // Another run may begin at this moment, and be quicker.
      if (existsSync(dataDir)) throw error;
    }
  }
}

async function remove(dataDir: string): Promise<void> {
  endServers(dataDir);
  const cluster = findCluster(dataDir);
  if (cluster !== undefined) await stop(cluster);
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
}

/** Ends what test/server.ts started: each server has left a file with its process id. */
function endServers(dataDir: string): void {
  for (const name of readdirSync(dataDir)) {
    const pid = Number(/^server\.(\d+)$/.exec(name)?.[1]);
    // The number may be another's by now.
    if (commandOf(pid)?.includes(dataDir)) signal(pid, "SIGKILL");
  }
}
