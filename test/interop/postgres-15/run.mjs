// Runs the tests that live on the database against the oldest PostgreSQL that the product takes, as a distribution
// installs it. Ends with 77 where there is none.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const bin = "/usr/lib/postgresql/15/bin";
const rooms =
  process.argv.length > 2 ? process.argv.slice(2) : ["test/store", "test/ledger", "test/journeys"];
const startTimeoutMs = 60_000;

if (!existsSync(join(bin, "initdb"))) {
  console.info(`PostgreSQL 15 is not in ${bin}`);
  process.exit(77);
}

// It refuses to run as root: it is nobody's then.
const account = process.getuid() === 0 ? { uid: 65534, gid: 65534 } : {};
const directory = mkdtempSync(join(tmpdir(), "countersign-postgres-15-"));
if (account.uid !== undefined) chownSync(directory, account.uid, account.gid);
const data = join(directory, "data");
let server;
process.exitCode = 1;
try {
  const quiet = { ...account, cwd: "/", stdio: ["ignore", "ignore", "inherit"] };
  const options = ["--auth=trust", "--username=countersign", "--encoding=UTF8", "--locale=C.UTF-8"];
  if (spawnSync(join(bin, "initdb"), ["-D", data, ...options], quiet).status !== 0) {
    throw new Error("initdb failed");
  }
  const settings = ["-c", "listen_addresses=", "-c", `unix_socket_directories=${directory}`];
  server = spawn(join(bin, "postgres"), ["-D", data, ...settings, "-c", "log_min_messages=panic"], quiet);
  const deadline = Date.now() + startTimeoutMs;
  while (!existsSync(join(directory, ".s.PGSQL.5432")) && server.exitCode === null && Date.now() < deadline) {
    await delay(100);
  }
  const target = { host: directory, user: "countersign", database: "postgres" };
  const results = join(directory, "results.json");
  const vitest = spawnSync(
    process.execPath,
    [
      "node_modules/vitest/vitest.mjs",
      "run",
      ...["--reporter=dot", "--reporter=json", `--outputFile.json=${results}`],
      ...rooms,
    ],
    {
      cwd: join(import.meta.dirname, "../../.."),
      env: { ...process.env, TEST_POSTGRES: JSON.stringify(target) },
      stdio: ["ignore", 2, 2],
    },
  );
  const { numPassedTests, numFailedTests, numFailedTestSuites } = JSON.parse(readFileSync(results, "utf8"));
  // What failed before its first test is a suite only.
  console.info(`${numPassedTests} passed, ${Math.max(numFailedTests, numFailedTestSuites)} failed`);
  process.exitCode = vitest.status ?? 1;
} finally {
  if (server?.exitCode === null) {
    server.kill("SIGINT");
    await once(server, "exit");
  }
  rmSync(directory, { recursive: true, force: true });
}
