import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, realpathSync, rmSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import { type Account, chooseAccount, passwordName, programEnvironment, runAs } from "./account.ts";
import type { Binaries } from "./binaries.ts";

/** Where everything of one embedded PostgreSQL lies: one directory, 0700. */
export interface Cluster {
  readonly directory: string;
  /** PGDATA. */
  readonly data: string;
  /** The password of the role `countersign`: 0600 and the server's, also where PostgreSQL runs as another account. */
  readonly passwordFile: string;
  readonly logFile: string;
}

export const role = "countersign";

function clusterAt(directory: string): Cluster {
  return {
    directory,
    data: join(directory, "data"),
    passwordFile: join(directory, passwordName),
    logFile: join(directory, "server.log"),
  };
}

/** The cluster in `<dataDir>/postgres`, or undefined when none was ever made there. */
export function findCluster(dataDir: string): Cluster | undefined {
  const directory = join(dataDir, "postgres");
  return existsSync(directory) ? clusterAt(realpathSync(directory)) : undefined;
}

/**
 * Makes a cluster in `<dataDir>/postgres` of a data directory that is there. It is made beside its place and published whole by one rename, so nobody
 * ever sees half of one; of two processes that do this at once, the second discards its own and takes the first's.
 */
export async function makeCluster(dataDir: string, binaries: Binaries): Promise<Cluster> {
  const place = join(realpathSync(dataDir), "postgres");
  const draft = clusterAt(`${place}.making-${process.pid}-${randomBytes(4).toString("hex")}`);
  mkdirSync(draft.directory, { mode: 0o700 });
  try {
    const account = await chooseAccount(draft.directory, binaries.postgres);
    await initialise(draft, account, binaries);
    await rename(draft.directory, place);
    await syncDirectory(dataDir);
  } catch (error) {
    rmSync(draft.directory, { recursive: true, force: true });
    if (!isTaken(error)) throw error;
  }
  return clusterAt(place);
}

async function initialise(draft: Cluster, account: Account, binaries: Binaries): Promise<void> {
  const password = randomBytes(32).toString("base64url");
  const locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8"];
  const options = ["--auth=reject", "--username=postgres", "--no-instructions", ...locale];
  await runAs(account, [binaries.initdb, ...options, "-D", draft.data]);
  // By the account itself: root would write through whatever link another process of that account put there.
  const rules = [join(draft.data, "pg_hba.conf"), `local all ${role} scram-sha-256`];
  await runAs(account, ["/bin/sh", "-c", 'echo "$2" >"$1"', "sh", ...rules]);
  // The superuser has no password and no line above: nobody can log in as it.
  await runSingleUser(draft, account, binaries, [
    `CREATE ROLE ${role} LOGIN CREATEDB PASSWORD '${password}';`,
    `CREATE DATABASE ${role} OWNER ${role};`,
  ]);
  const file = await open(draft.passwordFile, "wx", 0o600);
  await file.writeFile(password);
  await file.sync();
  await file.close();
}

/** Runs statements without a server and without a login; one per line. */
function runSingleUser(
  { data }: Cluster,
  account: Account,
  { postgres }: Binaries,
  statements: readonly string[],
): Promise<void> {
  const settings = [
    "-c",
    "exit_on_error=on",
    "-c",
    "log_min_messages=fatal",
    "-c",
    "log_min_error_statement=panic",
  ];
  const [file = "", ...parameters] = [
    ...account.prefix,
    postgres,
    "--single",
    "-D",
    data,
    ...settings,
    "postgres",
  ];
  return new Promise((resolve, reject) => {
    const stdio = ["pipe", "ignore", "pipe"] as const;
    const child = spawn(file, parameters, {
      env: programEnvironment,
      cwd: "/",
      stdio: [...stdio],
      ...account.spawnAs,
    });
    let complaint = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`PostgreSQL could not be set up: ${complaint.trim().split("\n").at(-1)}`));
    });
    child.stdin?.on("error", reject);
    child.stdin?.end(`${statements.join("\n")}\n`);
  });
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOTEMPTY" || error.code === "EEXIST");
}

/** Without this a power failure may undo the rename, and with it everything recorded since. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  await directory.sync();
  await directory.close();
}
