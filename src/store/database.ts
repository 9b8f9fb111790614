import { createHash } from "node:crypto";
import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";
import { type ConnectionTarget, type StoreLog, socketsWithoutSilence } from "./connection.ts";
import { openDataDirectory } from "./data-directory.ts";
import { PrismaClient } from "./generated/client.ts";
import { migrate } from "./migrate.ts";
import { createNotifications, type Notifications } from "./notifications.ts";
import { checkServer } from "./postgres/check-server.ts";
import { startEmbeddedPostgres } from "./postgres/embedded.ts";

/** The store's one handle: every query goes through `prisma`, on at most ten connections. */
export interface Database {
  readonly prisma: PrismaClient;
  /** Hears what NOTIFY says on the channel; by any process, this one included. */
  readonly listen: Notifications["listen"];
  /** Ends every connection; stops an embedded PostgreSQL that no other process uses. */
  close(): Promise<void>;
}

export interface DatabaseDeps {
  readonly log: StoreLog;
}

export interface DatabaseRequest {
  /** Undefined: the embedded PostgreSQL of the data directory. */
  readonly databaseUrl: string | undefined;
  readonly dataDir: string;
}

/** How much a database may take, and how long. */
export interface DatabaseLimits {
  readonly connectionsMax: number;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  /** Longer than a statement may take: whoever is silent for so long is gone. */
  readonly silenceMs: number;
}

const defaultLimits: DatabaseLimits = {
  connectionsMax: 10,
  connectTimeoutMs: 5_000,
  statementTimeoutMs: 10_000,
  silenceMs: 12_000,
};

const namedStatementsMax = 500;

/**
 * Opens the store as configured: checks an external PostgreSQL or starts the embedded one, applies the migrations, and
 * makes the data directory.
 *
 * @throws Error in one line that says what to do when the database or the data directory can't be used
 */
export async function openDatabase(deps: DatabaseDeps, request: DatabaseRequest): Promise<Database> {
  if (request.databaseUrl !== undefined) {
    const target = { connectionString: request.databaseUrl };
    await checkServer(target);
    await migrate(target);
    await openDataDirectory(request.dataDir);
    return connectDatabase(deps, target);
  }
  const postgres = await startEmbeddedPostgres(deps, request.dataDir);
  try {
    await migrate(postgres.target);
  } catch (error) {
    await postgres.close();
    throw error;
  }
  const database = connectDatabase(deps, postgres.target);
  const close = async () => {
    await database.close();
    await postgres.close();
  };
  return { ...database, close };
}

/**
 * Opens the handle on a database that is there and migrated; connects when first used. A query that the database does
 * not answer in time fails as a lost connection does.
 */
export function connectDatabase(
  { log }: DatabaseDeps,
  target: ConnectionTarget,
  limits: DatabaseLimits = defaultLimits,
): Database {
  const pool = new pg.Pool({
    ...target,
    application_name: "countersign",
    max: limits.connectionsMax,
    connectionTimeoutMillis: limits.connectTimeoutMs,
    // Before silence would end it.
    idleTimeoutMillis: limits.silenceMs / 2,
    statement_timeout: limits.statementTimeoutMs,
    idle_in_transaction_session_timeout: limits.statementTimeoutMs,
    stream: socketsWithoutSilence(limits.silenceMs),
  });
  // For good: connections may still break while the pool ends, when Prisma no longer looks, and would end the process.
  pool.on("error", (error) => log.warn(`an idle database connection broke: ${error.message}`));
  const adapter = new PrismaPg(pool, { statementNameGenerator: createStatementNames() });
  const prisma = new PrismaClient({ adapter });
  const notifications = createNotifications(target, log);
  return {
    prisma,
    listen: notifications.listen,
    close: async () => {
      await notifications.close();
      await prisma.$disconnect();
      await pool.end();
    },
  };
}

/**
 * Names each SQL text once, so that PostgreSQL parses it once per connection. Texts beyond the limit stay unnamed, for
 * the server keeps every named one.
 */
function createStatementNames(): (query: { readonly sql: string }) => string {
  const names = new Map<string, string>();
  return ({ sql }) => {
    let name = names.get(sql);
    if (name === undefined) {
      if (names.size >= namedStatementsMax) return "";
      name = createHash("sha256").update(sql).digest("base64url").slice(0, 22);
      names.set(sql, name);
    }
    return name;
  };
}
