// A real server with two keyless agents that every process of this account is, and the things that can befall it.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

/** The command line, from its source. */
export const main = join(import.meta.dirname, "../../../src/main.ts");
const lone = { trustDomain: "conformance.example", hints: ["one", "two"] };

/**
 * Starts a server in an empty directory that other accounts can get to; `close` ends it and its database.
 *
 * @param as its trust domain, and the hint of each of its agents; the trust domain that they federate with, and where its
 *   own bundle is served, and certificates are asked for, if at all
 */
export async function startServer(dataDir, as = lone) {
  const issuer = `http://127.0.0.1:${await freePort()}`;
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(COUNTERSIGN_|DATABASE_URL$)/.test(name),
  );
  const env = {
    ...Object.fromEntries(inherited),
    COUNTERSIGN_ISSUER: issuer,
    COUNTERSIGN_DATA_DIR: dataDir,
    COUNTERSIGN_TRUST_DOMAIN: as.trustDomain,
    ...(as.bundlePort !== undefined && { COUNTERSIGN_BUNDLE_PORT: String(as.bundlePort) }),
    ...(as.mtlsPort !== undefined && { COUNTERSIGN_MTLS_PORT: String(as.mtlsPort) }),
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
    const entries = await register(countersign, as);
    return {
      facts: factsOf(as.trustDomain, issuer, entries),
      bundlePort: as.bundlePort,
      mtlsPort: as.mtlsPort,
      countersign,
      socketPath: join(dataDir, "workload.sock"),
      close,
      can: deeds(countersign, entries),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Two servers that are federated with each other by https_spiffe, each with one agent that verifies the other's. */
export async function startFederatedPair(directory) {
  const [here, there] = await Promise.all(
    [
      ["here.example", "there.example"],
      ["there.example", "here.example"],
    ].map(async ([trustDomain, federatesWith]) => {
      const dataDir = join(directory, trustDomain);
      mkdirSync(dataDir);
      return startServer(dataDir, {
        trustDomain,
        federatesWith,
        hints: ["one"],
        bundlePort: await freePort(),
        mtlsPort: await freePort(),
      });
    }),
  );
  await federate(here, there);
  await federate(there, here);
  return { here, there, close: () => Promise.all([here.close(), there.close()]) };
}

/** Where a server gives its bundle, and as whom. */
export function bundleEndpointOf({ facts, bundlePort }) {
  return { url: `https://127.0.0.1:${bundlePort}`, id: `spiffe://${facts.trustDomain}/countersign/server` };
}

/** As an operator does who was handed the other's bundle. */
async function federate(at, other) {
  const { facts } = other;
  const document = await (await fetch(facts.bundleUrl)).text();
  const file = join(dirname(at.socketPath), "foreign-bundle.json");
  writeFileSync(file, document);
  const { url, id } = bundleEndpointOf(other);
  const endpoint = ["--url", url, "--profile", "https_spiffe", "--allow-private"];
  const { trustDomain } = facts;
  const proof = ["--endpoint-id", id, "--bundle", file];
  await at.countersign("federation", "add", "--trust-domain", trustDomain, ...endpoint, ...proof);
  // Fetched from its own endpoint: what was handed over is not all there is.
  await at.countersign("federation", "refresh", trustDomain);
}

async function register(countersign, { hints, federatesWith }) {
  const owner = await countersign("user", "create", "--name", "Alice");
  const entries = [];
  for (const hint of hints) {
    const agent = await countersign("agent", "create", "--owner", owner.id, "--name", hint, "--no-key");
    const is = ["--agent", agent.id, "--selector", `unix:uid:${process.getuid()}`, "--hint", hint];
    const verifies = federatesWith === undefined ? [] : ["--federates-with", federatesWith];
    entries.push(await countersign("entry", "create", ...is, ...verifies));
  }
  return entries;
}

/** What the clients are told of the server. */
function factsOf(trustDomain, issuer, entries) {
  return {
    trustDomain,
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
