import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, expect, test } from "vitest";
import { openDatabase } from "../../src/store/database.ts";
import { chooseAccount, programEnvironment } from "../../src/store/postgres/account.ts";
import { findBinaries } from "../../src/store/postgres/binaries.ts";
import {
  checkServer,
  readFacts,
  refusalOf,
  type ServerFacts,
} from "../../src/store/postgres/check-server.ts";
import { makeCluster } from "../../src/store/postgres/cluster.ts";
import { openTestDatabase, runSql, silentLog } from "../harness.ts";

const database = await openTestDatabase();
afterAll(() => database.close());

const good: ServerFacts = {
  versionNumber: 150_000,
  fsync: "on",
  synchronousCommit: "on",
  encoding: "UTF8",
  isReplica: false,
  locksPerSession: true,
  hearsNotifications: true,
};

test("accepts a PostgreSQL as it comes", async () => {
  await checkServer(database.target);
  expect(refusalOf(good)).toBeUndefined();
  expect(refusalOf({ ...good, synchronousCommit: "remote_apply" })).toBeUndefined();
});

test("refuses each fact that would lose records, in one line that says what to do", () => {
  expect(refusalOf({ ...good, versionNumber: 140_013 })).toBe("PostgreSQL 14 is too old; use 15 or later");
  expect(refusalOf({ ...good, fsync: "off" })).toMatch(/set fsync = on$/);
  expect(refusalOf({ ...good, synchronousCommit: "off" })).toMatch(/^synchronous_commit is off/);
  expect(refusalOf({ ...good, isReplica: true })).toMatch(/name the primary$/);
  expect(refusalOf({ ...good, encoding: "SQL_ASCII" })).toMatch(/UTF8/);
  expect(refusalOf({ ...good, locksPerSession: false })).toMatch(/session mode$/);
  expect(refusalOf({ ...good, hearsNotifications: false })).toMatch(/session mode$/);
});

test("refuses a role that commits asynchronously", async () => {
  const { database: name } = database.target;
  await runSql(database.target, `ALTER DATABASE ${name} SET synchronous_commit = off`);
  await expect(checkServer(database.target)).rejects.toThrow("DATABASE_URL: synchronous_commit is off");
  await runSql(database.target, `ALTER DATABASE ${name} RESET synchronous_commit`);
});

test("notices that two connections share one session, as behind a transaction pooler", async () => {
  const client = new pg.Client(database.target);
  await client.connect();
  expect(await readFacts(client, client)).toMatchObject({ locksPerSession: false });
  await client.end();
});

test("refuses a PostgreSQL that runs without fsync", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "countersign-nofsync-"));
  chmodSync(dataDir, 0o755);
  try {
    const binaries = findBinaries();
    const { directory, data, passwordFile } = await makeCluster(dataDir, binaries);
    const { prefix, spawnAs } = await chooseAccount(directory, binaries.postgres);
    const settings = ["fsync=off", "listen_addresses=", "unix_socket_directories=.."].flatMap((line) => [
      "-c",
      line,
    ]);
    const [file = "", ...parameters] = [...prefix, binaries.postgres, "-D", data, ...settings];
    const server = spawn(file, parameters, { env: programEnvironment, stdio: "ignore", ...spawnAs });
    const target = {
      host: directory,
      port: 5432,
      user: "countersign",
      database: "countersign",
      password: readFileSync(passwordFile, "utf8"),
    };
    try {
      await expect.poll(() => checkServer(target).catch(String)).toMatch(/fsync is off/);
    } finally {
      server.kill("SIGINT");
      await new Promise((resolve) => server.once("exit", resolve));
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

test("says that nothing answers, and keeps the password to itself", async () => {
  const silent = createServer((socket) => socket.destroy());
  const port = await new Promise<number>((resolve) => {
    silent.listen(0, "127.0.0.1", () => {
      const address = silent.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  const databaseUrl = `postgresql://user:hunter2@127.0.0.1:${port}/db`;
  const refusal = openDatabase({ log: silentLog }, { databaseUrl, dataDir: "/nonexistent" });
  await expect(refusal).rejects.toThrow(/^DATABASE_URL: can't connect: (?!.*hunter2)/);
  silent.close();
});
