import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { advisoryLocks } from "./advisory-locks.ts";
import type { ConnectionTarget } from "./connection.ts";

/** One migration: a file of plain SQL, applied as it is. */
export interface Migration {
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the file, hex. */
  readonly checksum: string;
}

// The same two steps up from src/store and from dist/store.
const migrationsUrl = new URL("../../prisma/migrations/", import.meta.url);

/** The migrations of this version, in the order in which they apply. */
export function readMigrations(directory: string = fileURLToPath(migrationsUrl)): Migration[] {
  const names = readdirSync(directory).filter((name) => name.endsWith(".sql"));
  return names.sort().map((name) => {
    const sql = readFileSync(`${directory}/${name}`, "utf8");
    return { name, sql, checksum: createHash("sha256").update(sql).digest("hex") };
  });
}

/**
 * Brings the database to this version: applies what is missing, each migration in a transaction of its own. Processes
 * that do it at once wait for each other.
 *
 * @throws Error in one line when a migration was edited after it was applied, or when the database has one that this
 *   version doesn't know
 */
export async function migrate(target: ConnectionTarget, migrations = readMigrations()): Promise<void> {
  const client = new pg.Client({
    ...target,
    application_name: "countersign migrate",
    connectionTimeoutMillis: 10_000,
  });
  client.on("error", () => undefined);
  await client.connect();
  try {
    // Held by the session, and so freed by any end it may find.
    await client.query("SELECT pg_advisory_lock($1)", [advisoryLocks.migration]);
    await client.query(`CREATE TABLE IF NOT EXISTS migration (
      name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz(3) NOT NULL DEFAULT now())`);
    const { rows } = await client.query<{ name: string; checksum: string }>(
      "SELECT name, checksum FROM migration",
    );
    for (const migration of missing(migrations, rows)) await apply(client, migration);
  } finally {
    await client.end();
  }
}

function missing(migrations: readonly Migration[], applied: readonly Pick<Migration, "name" | "checksum">[]) {
  const known = new Map(migrations.map(({ name, checksum }) => [name, checksum]));
  for (const { name, checksum } of applied) {
    const expected = known.get(name);
    if (expected === undefined) {
      throw new Error(
        `the database has the migration ${name}, which this version lacks; use the version that made it`,
      );
    }
    if (expected !== checksum)
      throw new Error(`the migration ${name} was edited after it was applied; restore it`);
  }
  const done = new Set(applied.map(({ name }) => name));
  const left = migrations.filter(({ name }) => !done.has(name));
  const last = [...done].sort().at(-1) ?? "";
  const early = left.find(({ name }) => name < last);
  if (early !== undefined) throw new Error(`the migration ${early.name} was never applied, but ${last} was`);
  return left;
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  await client.query("BEGIN");
  try {
    await client.query(sql);
    await client.query("INSERT INTO migration (name, checksum) VALUES ($1, $2)", [name, checksum]);
    await client.query("COMMIT");
  } catch (cause) {
    await client.query("ROLLBACK").catch(() => undefined);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the migration ${name} failed: ${reason}`, { cause });
  }
}
