import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Another process that holds the PostgreSQL of a data directory. */
export interface Holder {
  readonly process: ChildProcess;
  /** Resolves once it holds PostgreSQL. */
  readonly ready: Promise<void>;
  /** What it has said on standard error. */
  complaint(): string;
  /** Lets it close in good order. */
  release(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
}

const script = fileURLToPath(new URL("hold-postgres.ts", import.meta.url));

/** Runs a program where user namespaces are refused: the program that makes them does nothing but fail. Only for root. */
export const withoutNamespaces = [
  "unshare",
  "--mount",
  "sh",
  "-c",
  'mount --bind /bin/false "$(command -v unshare)" && exec "$@"',
  "sh",
];

/** Whether we are root, and an account without rights may run what lies in this checkout: not so below a 0700 directory. */
export const canRunAsNobody =
  process.getuid?.() === 0 &&
  spawnSync(process.execPath, ["--version"], { uid: 65_534, gid: 65_534, cwd: "/", stdio: "ignore" })
    .status === 0;

/** Whether this machine lets us play that. */
export const canHideNamespaces =
  canRunAsNobody &&
  spawnSync("sh", ["-c", '"$@"', "sh", ...withoutNamespaces, "true"], { stdio: "ignore" }).status === 0;

/** Starts a process that holds the PostgreSQL of `dataDir`; as another user where ids are given, or by a program that runs it. */
export function startHolder(
  dataDir: string,
  as: { readonly uid?: number; readonly gid?: number } = {},
  runner: readonly string[] = [],
): Holder {
  const command = [...runner, process.execPath, "--conditions=source", script, dataDir];
  const [file = "", ...parameters] = command;
  const child = spawn(file, parameters, {
    stdio: ["pipe", "pipe", "pipe"],
    cwd: "/",
    ...as,
  });
  const exited = once(child, "exit");
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const ready = new Promise<void>((resolve, reject) => {
    createInterface(child.stdout).on("line", (line) => {
      if (line === "ready") resolve();
    });
    void exited.then(() => reject(new Error(`the holder ended: ${complaint}`)));
  });
  ready.catch(() => undefined);
  const release = async () => {
    child.stdin.end();
    await exited;
  };
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  return { process: child, ready, complaint: () => complaint, release, kill };
}

/** The process id in the lock file of the data directory's PostgreSQL, or undefined when there is none. */
export function postgresPid(dataDir: string): number | undefined {
  try {
    return Number(readFileSync(`${dataDir}/postgres/data/postmaster.pid`, "utf8").split("\n")[0]);
  } catch {
    return undefined;
  }
}
