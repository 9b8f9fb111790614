// A real server with two keyless agents that every process of this account is, and the things that can befall it.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const main = join(import.meta.dirname, "../../../src/main.ts");
const identities = ["one", "two"];

/** Starts a server in an empty directory that other accounts can get to; `close` ends it and its database. */
export async function startServer(dataDir) {
  const issuer = `http://127.0.0.1:${await freePort()}`;
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(COUNTERSIGN_|DATABASE_URL$)/.test(name),
  );
  const env = {
    ...Object.fromEntries(inherited),
    COUNTERSIGN_ISSUER: issuer,
    COUNTERSIGN_DATA_DIR: dataDir,
    COUNTERSIGN_TRUST_DOMAIN: "conformance.example",
    COUNTERSIGN_LOG_LEVEL: "warn",
  };
  const command = ["--conditions=source", main];
  const server = spawn(process.execPath, [...command, "serve", "--json", "--attest-own-uid"], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(server, "close");
  const close = async () => {
    server.kill("SIGTERM");
    await ended;
  };
  const countersign = async (...words) => {
    const { stdout } = await promisify(execFile)(process.execPath, [...command, ...words, "--json"], { env });
    return JSON.parse(stdout);
  };
  try {
    const ready = once(createInterface(server.stdout), "line");
    const [line] = await Promise.race([ready, ended.then(() => [""])]);
    if (!line.includes('"ready"')) throw new Error("the server did not start");
    const entries = await register(countersign);
    return {
      facts: factsOf(issuer, entries),
      socketPath: join(dataDir, "workload.sock"),
      close,
      can: deeds(countersign, entries),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Two trust domains that are federated with each other: where each is served, and to whom. */
export async function startFederatedPair(directory) {
  const script = join(import.meta.dirname, "federated-pair.ts");
  const child = spawn(process.execPath, ["--conditions=source", script, directory], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  const said = once(createInterface(child.stdout), "line");
  const [line] = await Promise.race([said, ended.then(() => ["null"])]);
  const domains = JSON.parse(line);
  if (domains === null) throw new Error("the federated pair did not start");
  const close = async () => {
    child.stdin.end();
    await ended;
  };
  return { domains, close };
}

async function register(countersign) {
  const owner = await countersign("user", "create", "--name", "Alice");
  const entries = [];
  for (const hint of identities) {
    const agent = await countersign("agent", "create", "--owner", owner.id, "--name", hint, "--no-key");
    const selector = `unix:uid:${process.getuid()}`;
    entries.push(
      await countersign("entry", "create", "--agent", agent.id, "--selector", selector, "--hint", hint),
    );
  }
  return entries;
}

/** What the clients are told of the server. */
function factsOf(issuer, entries) {
  return {
    trustDomain: "conformance.example",
    identities: entries.map(({ spiffe_id, hint }) => ({ spiffeId: spiffe_id, hint })),
    bundleUrl: `${issuer}/spiffe/bundle`,
  };
}

/** What the clients can ask for. */
function deeds(countersign, entries) {
  return {
    "taint-x509-authority": async () => {
      const keys = await countersign("keys", "list");
      const active = keys.find(({ purpose, status }) => purpose === "x509_authority" && status === "active");
      await countersign("keys", "taint", active.id);
    },
    "rotate-jwt-authority": () => countersign("keys", "rotate", "--purpose", "jwt_authority"),
    "withdraw-identities": async () => {
      for (const { id } of entries) await countersign("entry", "delete", id);
    },
  };
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
