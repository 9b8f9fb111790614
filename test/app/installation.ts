import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { createClosing } from "../../src/app/closing.ts";
import { type OpenLedger, openLedger } from "../../src/app/open-ledger.ts";
import { type Config, readConfig } from "../../src/config.ts";
import { createLogger } from "../../src/http/logger.ts";
import type { ConnectionTarget } from "../../src/store/connection.ts";
import type { Database } from "../../src/store/database.ts";
import { connectPatiently, dropDatabase, openTestDatabase, runSql } from "../harness.ts";

/** An installation without faces: its settings, and what one needs to set its database back in time. */
export interface LedgerInstallation {
  readonly config: Config;
  /** Opens the ledger, lets `work` use it, and closes it. */
  use<Result>(work: (ledger: OpenLedger) => Promise<Result>, config?: Config): Promise<Result>;
  /** Copies the database, which nobody may use meanwhile. @returns settings under which the copy takes its place */
  backUp(): Promise<{ readonly config: Config; readonly db: Database }>;
}

/** Makes one for the running test. */
export async function makeLedgerInstallation(): Promise<LedgerInstallation> {
  const { db, target } = await openTestDatabase();
  // A database is copied while nobody is connected to it.
  await db.close();
  const server = { ...target, database: "postgres" };
  onTestFinished(() => dropDatabase(server, target.database));
  const dataDir = await mkdtemp(join(tmpdir(), "countersign-app-"));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const environment = {
    DATABASE_URL: urlOf(target),
    COUNTERSIGN_DATA_DIR: dataDir,
    COUNTERSIGN_KEK: randomBytes(32).toString("base64"),
    COUNTERSIGN_LOG_LEVEL: "silent",
  };
  const config = readConfig({}, environment);

  async function backUp() {
    const copy = { ...target, database: `${target.database}_copy` };
    await runSql(server, `CREATE DATABASE ${copy.database} TEMPLATE ${target.database}`);
    const copied = connectPatiently(copy);
    onTestFinished(async () => {
      await copied.close();
      await dropDatabase(server, copy.database);
    });
    return { config: readConfig({}, { ...environment, DATABASE_URL: urlOf(copy) }), db: copied };
  }

  return { config, use: (work, given = config) => useLedger(given, work), backUp };
}

async function useLedger<Result>(
  config: Config,
  work: (ledger: OpenLedger) => Promise<Result>,
): Promise<Result> {
  const closing = createClosing();
  try {
    const ledger = await openLedger({ logger: createLogger(config.logLevel), closing }, config);
    return await work(ledger);
  } finally {
    await closing.closeAll();
  }
}

function urlOf({ host = "", port, user = "", password, database }: ConnectionTarget): string {
  const secret = typeof password === "string" ? password : "";
  const query = new URLSearchParams({ host, port: String(port ?? 5432) });
  return `postgresql://${user}:${encodeURIComponent(secret)}@localhost/${database}?${query}`;
}
