import pg from "pg";
import { advisoryLocks } from "../advisory-locks.ts";
import type { ConnectionTarget } from "../connection.ts";

/** What about a PostgreSQL decides whether it can carry the ledger. */
export interface ServerFacts {
  /** As in server_version_num: 150004 is 15.4. */
  readonly versionNumber: number;
  readonly fsync: string;
  readonly synchronousCommit: string;
  readonly encoding: string;
  readonly isReplica: boolean;
  /** Whether an advisory lock of one session keeps the other out. */
  readonly locksPerSession: boolean;
  /** Whether a session that listens hears what another says. */
  readonly hearsNotifications: boolean;
}

const timeoutMs = 10_000;
const notificationTimeoutMs = 5_000;

/**
 * Checks that a PostgreSQL can carry the ledger: version 15 or later, commits that survive a power failure, and
 * sessions of one's own (no pooler that hands out transactions).
 *
 * @throws Error in one line, starting with DATABASE_URL, that says what to change
 */
export async function checkServer(target: ConnectionTarget): Promise<void> {
  const first = await connect(target);
  try {
    const second = await connect(target);
    try {
      const refusal = refusalOf(await readFacts(first, second));
      if (refusal !== undefined) throw new Error(`DATABASE_URL: ${refusal}`);
    } finally {
      await second.end().catch(() => undefined);
    }
  } finally {
    await first.end().catch(() => undefined);
  }
}

/** Why a server with these facts is refused, and what to do about it, or undefined when it will do. */
export function refusalOf(facts: ServerFacts): string | undefined {
  if (facts.versionNumber < 150_000) {
    return `PostgreSQL ${Math.floor(facts.versionNumber / 10_000)} is too old; use 15 or later`;
  }
  if (facts.isReplica) return "this server is a read-only replica; name the primary";
  if (facts.fsync !== "on") return "fsync is off, so a power failure would lose records; set fsync = on";
  if (facts.synchronousCommit === "off") {
    return "synchronous_commit is off, so a crash would lose records; set it to on for this role and database";
  }
  if (facts.encoding !== "UTF8") return "the database is not in UTF8; create it with ENCODING 'UTF8'";
  const remedy = "connect to PostgreSQL directly, or set the pooler to session mode";
  if (!facts.locksPerSession) return `advisory locks don't belong to a session; ${remedy}`;
  if (!facts.hearsNotifications) return `LISTEN hears nothing; ${remedy}`;
  return undefined;
}

/** Asks two sessions of one server. */
export async function readFacts(first: pg.Client, second: pg.Client): Promise<ServerFacts> {
  const { rows } = await first.query<Omit<ServerFacts, "locksPerSession" | "hearsNotifications">>(`
    SELECT current_setting('server_version_num')::int AS "versionNumber", current_setting('fsync') AS fsync,
      current_setting('synchronous_commit') AS "synchronousCommit",
      current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS "isReplica"`);
  const [settings] = rows;
  if (settings === undefined) throw new Error("PostgreSQL did not tell its settings");
  const locksPerSession = await hasLocksPerSession(first, second);
  return { ...settings, locksPerSession, hearsNotifications: await hears(first, second) };
}

/** Behind a transaction pooler both may be one session, or the lock's session may be gone before it is freed. */
async function hasLocksPerSession(first: pg.Client, second: pg.Client): Promise<boolean> {
  const key = [advisoryLocks.startupCheck];
  // Another server may be checking at this moment, so this waits its turn.
  await first.query("SELECT pg_advisory_lock($1)", key);
  const { rows } = await second.query("SELECT pg_try_advisory_lock($1) AS taken", key);
  const { rows: freed } = await first.query("SELECT pg_advisory_unlock($1) AS held", key);
  return rows[0]?.taken === false && freed[0]?.held === true;
}

async function hears(listener: pg.Client, speaker: pg.Client): Promise<boolean> {
  const heard = new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), notificationTimeoutMs);
    listener.once("notification", () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
  await listener.query("LISTEN countersign_check");
  await speaker.query("NOTIFY countersign_check");
  return await heard;
}

async function connect(target: ConnectionTarget): Promise<pg.Client> {
  try {
    const client = new pg.Client({
      ...target,
      application_name: "countersign check",
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
      // As every later connection: a pooler that doesn't pass these on must be noticed now.
      statement_timeout: timeoutMs,
      idle_in_transaction_session_timeout: timeoutMs,
    });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  } catch (cause) {
    throw new Error(`DATABASE_URL: can't connect: ${reasonOf(cause)}`, { cause });
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}
