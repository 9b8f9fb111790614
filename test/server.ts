import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Client, type ClientDeps, createClient } from "@countersign/sdk/client/client";
import type { PrivateJwk } from "@countersign/sdk/client/key-pair";
import { onTestFinished } from "vitest";
import { readKeyFile } from "../src/commands/key-file.ts";
import { childEnvironment } from "../src/config.ts";
import { operatorKeyPath } from "../src/journeys/installation/operator-key-file.ts";
import { findCluster } from "../src/store/postgres/cluster.ts";
import { stop as stopPostgres } from "../src/store/postgres/server.ts";
import { expectDescribed } from "./described.ts";

const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));
// Longer than anything takes on a machine that is slow for a while: what never comes is to fail by its name.
const patienceMs = 55_000;

/** How a process ended, and what it said. */
export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A server, run as anybody would run it: `countersign serve --json`. */
export interface ServerProcess {
  readonly pid: number;
  /** Where it listens; not necessarily the issuer. */
  readonly url: string;
  readonly ended: Promise<Ended>;
  /** SIGTERM. */
  stop(): Promise<Ended>;
  /** kill -9. */
  kill(): Promise<Ended>;
}

/** Somebody who can sign. */
export interface Party {
  readonly id: string;
  readonly clientId: string;
  readonly key: PrivateJwk;
}

/** A throwaway installation: one data directory, one issuer, and the server processes on them. */
export interface Installation {
  readonly dataDir: string;
  /** Where its first server listens. */
  readonly issuer: string;
  /** Starts a server, at the issuer's own address unless another port is given; ready when this resolves. */
  startServer(port?: number): Promise<ServerProcess>;
  /** Runs one command of the CLI to its end. */
  run(...words: string[]): Promise<Ended>;
  /** A client that sends its requests to one server, or to whichever one the function names at the time. */
  clientAt(server: At, party: Omit<Party, "id">): Client;
  /** The operator that the first start made. */
  operatorAt(server: At): Promise<Client>;
  operatorKey(): Promise<Omit<Party, "id">>;
}

/** Where requests go. */
export type At = Pick<ServerProcess, "url"> | (() => Pick<ServerProcess, "url">);

/**
 * Makes an installation for the running test, or for a whole file if that is what `atEnd` waits for. At the end
 * whatever still runs in it is killed by its process id, and its directory removed.
 */
export async function makeInstallation(
  settings: Readonly<Record<string, string>> = {},
  atEnd: (remove: () => Promise<void>) => void = onTestFinished,
  serveOptions: readonly string[] = [],
): Promise<Installation> {
  // The name that test/global-setup.ts looks for when a run was killed.
  const dataDir = mkdtempSync(join(tmpdir(), `countersign-test-${process.pid}-`));
  // PostgreSQL's account must get through when the tests run as root.
  chmodSync(dataDir, 0o755);
  const scheme = settings["COUNTERSIGN_TLS_CERT"] === undefined ? "http" : "https";
  const issuer = `${scheme}://127.0.0.1:${await freePort()}`;
  const children = new Set<ChildProcess>();
  const environment = childEnvironment({
    COUNTERSIGN_LOG_LEVEL: "warn",
    COUNTERSIGN_KEK: randomBytes(32).toString("base64"),
    ...settings,
    COUNTERSIGN_ISSUER: issuer,
    COUNTERSIGN_DATA_DIR: dataDir,
  });

  function spawnMain(words: readonly string[]): ChildProcess {
    const child = spawn(process.execPath, [main, ...words], {
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.add(child);
    child.once("exit", () => children.delete(child));
    return child;
  }

  async function startServer(port = Number(new URL(issuer).port)): Promise<ServerProcess> {
    const child = spawnMain([
      "serve",
      "--json",
      ...serveOptions,
      "--data-dir",
      dataDir,
      "--port",
      String(port),
    ]);
    if (child.pid === undefined) throw new Error("no server could be spawned");
    writeFileSync(join(dataDir, `server.${child.pid}`), "");
    const said = hear(child);
    const ended = endOf(child, said);
    const end = (signal: NodeJS.Signals) => () => {
      child.kill(signal);
      return within("the server to end", ended);
    };
    const isOver = () => child.exitCode !== null || child.signalCode !== null;
    await until("its first line", () => said.out.includes("\n") || isOver());
    if (!/^\{"event":"(not-)?ready"/.test(said.out)) {
      const { code, err } = await ended;
      throw new Error(`the server did not start (exit ${code}): ${err}`);
    }
    return {
      pid: child.pid,
      url: `${scheme}://127.0.0.1:${port}`,
      ended,
      stop: end("SIGTERM"),
      kill: end("SIGKILL"),
    };
  }

  function clientAt(server: At, { clientId, key }: Omit<Party, "id">): Client {
    return createClient(depsFor(issuer, server), { issuer, clientId, key });
  }

  async function operatorKey(): Promise<Omit<Party, "id">> {
    const { clientId = "", privateJwk } = await readKeyFile(operatorKeyPath(dataDir));
    return { clientId, key: privateJwk };
  }

  atEnd(async () => {
    for (const child of [...children]) {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
    const cluster = findCluster(dataDir);
    if (cluster !== undefined) await stopPostgres(cluster);
    rmSync(dataDir, { recursive: true, force: true });
  });
  return {
    dataDir,
    issuer,
    startServer,
    run: (...words) => {
      const child = spawnMain(words);
      return endOf(child, hear(child));
    },
    clientAt,
    operatorAt: async (server) => clientAt(server, await operatorKey()),
    operatorKey,
  };
}

/**
 * What a client of the issuer needs to talk to one of its servers: proofs still name the issuer. Whatever is answered
 * below `/v1` is held against its published description.
 */
export function depsFor(issuer: string, server: At): ClientDeps {
  const url = () => (typeof server === "function" ? server() : server).url;
  return {
    now: Date.now,
    randomBytes: (count) => new Uint8Array(randomBytes(count)),
    fetch: async (input, init) => {
      const response = await fetch(String(input).replace(issuer, url()), init);
      // Of two readers of a stream both have to end it: one that nobody reads would keep it open.
      const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
      const seen = isStream ? new Response(null, response) : response.clone();
      await expectDescribed(init?.method ?? "GET", new URL(String(input)).pathname, seen);
      return response;
    },
  };
}

/** What a process has said so far. */
function hear(child: ChildProcess): { out: string; err: string } {
  const said = { out: "", err: "" };
  child.stdout?.on("data", (chunk: Buffer) => {
    said.out += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    said.err += chunk.toString();
  });
  return said;
}

async function endOf(
  child: ChildProcess,
  said: { readonly out: string; readonly err: string },
): Promise<Ended> {
  // "close", unlike "exit", comes after the last of its output.
  const [code] = await once(child, "close");
  return { code, ...said };
}

/**
 * A port for a server that a test starts, and starts again. Nobody listens on it, it lies below those from which the
 * system takes the ports of outgoing connections, and no other test is given it: the one above it is held for as long
 * as this process lives.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 2 * randomInt(10_000, 16_000);
    const hold = await listenOn(port + 1);
    if (hold === undefined) continue;
    const server = await listenOn(port);
    if (server === undefined) {
      hold.close();
      continue;
    }
    server.close();
    await once(server, "close");
    return port;
  }
}

/** Undefined where somebody listens already. */
async function listenOn(port: number): Promise<Server | undefined> {
  const server = createServer().unref();
  const listening = once(server, "listening").then(
    () => server,
    () => undefined,
  );
  server.listen(port, "127.0.0.1");
  return listening;
}

/** Waits until all of the servers say that they are ready. */
export async function untilReady(servers: readonly Pick<ServerProcess, "url">[]): Promise<void> {
  const isReady = ({ url }: Pick<ServerProcess, "url">) =>
    fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until("readiness", async () => (await Promise.all(servers.map(isReady))).every(Boolean));
}

/** Waits until `look` says that it is so. @throws Error when that never comes */
export async function until(what: string, look: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await look())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come within ${patienceMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** @throws Error when nothing comes */
async function within<Value>(what: string, promise: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${patienceMs} ms for ${what}`)), patienceMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
