import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { freePort } from "../server.ts";

const main = fileURLToPath(new URL("../../dist/main.js", import.meta.url));

/** The built server, as a process of its own. */
export interface ServedProcess {
  readonly issuer: string;
  readonly dataDir: string;
  /** Settings with which the CLI finds it. */
  readonly environment: Record<string, string>;
  readonly firstLine: string;
  readonly child: ChildProcess;
  /** Asks it to end, waits, and removes its data. Answers with its exit code. */
  stop(): Promise<number | null>;
}

/** Starts `countersign serve --json` on a free port and an own data directory. */
export async function serve(): Promise<ServedProcess> {
  const directory = mkdtempSync(join(tmpdir(), "countersign-serve-test-"));
  chmodSync(directory, 0o755);
  const dataDir = join(directory, "data");
  const issuer = `http://127.0.0.1:${await freePort()}`;
  const child = spawn(process.execPath, [main, "serve", "--json"], {
    env: {
      PATH: "/usr/bin:/bin",
      COUNTERSIGN_ISSUER: issuer,
      COUNTERSIGN_DATA_DIR: dataDir,
      COUNTERSIGN_LOG_LEVEL: "error",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit").then(() =>
    Promise.reject(new Error("the server ended before it was ready")),
  );
  const [firstLine] = (await Promise.race([once(createInterface(child.stdout), "line"), ended])) as [string];
  // From now on its end is what stop waits for.
  ended.catch(() => undefined);
  return {
    issuer,
    dataDir,
    environment: { COUNTERSIGN_SERVER: issuer, COUNTERSIGN_DATA_DIR: dataDir },
    firstLine,
    child,
    async stop() {
      if (child.exitCode === null) {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
      rmSync(directory, { recursive: true, force: true });
      return child.exitCode;
    },
  };
}
