import { afterAll, beforeEach, expect, test } from "vitest";
import { type Migration, migrate, readMigrations } from "../../src/store/migrate.ts";
import { openTestDatabase, runSql } from "../harness.ts";

const database = await openTestDatabase();
afterAll(() => database.close());

beforeEach(async () => {
  await runSql(database.target, "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
});

function migration(name: string, sql: string, checksum = `checksum of ${name}`): Migration {
  return { name, sql, checksum };
}

const first = migration("0001_first.sql", "CREATE TABLE first (id int); INSERT INTO first VALUES (1)");
const second = migration("0002_second.sql", "INSERT INTO first VALUES (2)");

async function rowsOfFirst(): Promise<number[]> {
  const { rows } = await runSql(database.target, "SELECT id FROM first ORDER BY id");
  return rows.map(({ id }) => id);
}

test("applies each migration once, in order", async () => {
  await migrate(database.target, [first]);
  await migrate(database.target, [first, second]);
  await migrate(database.target, [first, second]);
  expect(await rowsOfFirst()).toEqual([1, 2]);
});

test("followers go on from where they stood before each had its cursor in one table", async () => {
  const all = readMigrations();
  const place = all.findIndex(({ name }) => name === "0013_follower_cursor.sql");
  await migrate(database.target, all.slice(0, place));
  await runSql(
    database.target,
    "INSERT INTO log (id, origin, created_at) VALUES ('system', 'o', now()); INSERT INTO agent_entry_cursor VALUES ('system', 7)",
  );
  await migrate(database.target, all);
  const { rows } = await runSql(database.target, "SELECT follower, log_id, next_index FROM follower_cursor");
  expect(rows).toEqual([{ follower: "agent-history", log_id: "system", next_index: "7" }]);
});

test("lets processes that migrate at once apply each migration once", async () => {
  await Promise.all([1, 2, 3, 4].map(() => migrate(database.target, [first, second])));
  expect(await rowsOfFirst()).toEqual([1, 2]);
});

test("refuses a migration that was edited after it was applied", async () => {
  await migrate(database.target, [first]);
  const edited = migration(first.name, first.sql, "other checksum");
  await expect(migrate(database.target, [edited])).rejects.toThrow(
    "0001_first.sql was edited after it was applied",
  );
});

test("refuses a database that has a migration which this version lacks", async () => {
  await migrate(database.target, [first, second]);
  await expect(migrate(database.target, [first])).rejects.toThrow("has the migration 0002_second.sql");
});

test("refuses a migration that would have to go before an applied one", async () => {
  await migrate(database.target, [first]);
  const early = migration("0000_early.sql", "SELECT 1");
  await expect(migrate(database.target, [early, first])).rejects.toThrow("0000_early.sql was never applied");
});

test("takes back all of a migration that fails, and none of those before it", async () => {
  const failing = migration("0002_failing.sql", "INSERT INTO first VALUES (2); SELECT 1 / 0");
  await expect(migrate(database.target, [first, failing])).rejects.toThrow(
    "the migration 0002_failing.sql failed: division by zero",
  );
  expect(await rowsOfFirst()).toEqual([1]);
  await migrate(database.target, [first, second]);
  expect(await rowsOfFirst()).toEqual([1, 2]);
});

test("finds this version's migrations, each with the SHA-256 of its file", () => {
  const [spine] = readMigrations();
  expect(spine).toMatchObject({ name: "0001_spine.sql", checksum: expect.stringMatching(/^[0-9a-f]{64}$/) });
});
