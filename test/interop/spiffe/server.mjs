// A real server with two keyless agents that every process of this account is, and the things that can befall it.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

/** The command line, from its source. */
const command = ["--conditions=source", join(import.meta.dirname, "../../../src/main.ts")];
export const lone = { trustDomain: "conformance.example", hints: ["one", "two"] };

/**
 * Starts a server in an empty directory that other accounts can get to; `close` ends it and its database.
 *
 * @param as its trust domain, and the hint of each of its agents; the trust domain, or those, that they federate with, and
 *   where its own bundle is served, and certificates are asked for, if at all
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
  let running = await launch(env);
  const countersign = async (...words) => {
    const { stdout } = await promisify(execFile)(process.execPath, [...command, ...words, "--json"], { env });
    return JSON.parse(stdout);
  };
  const stop = () => running.end();
  try {
    const entries = await register(countersign, as);
    return {
      facts: factsOf(as.trustDomain, issuer, entries),
      bundlePort: as.bundlePort,
      mtlsPort: as.mtlsPort,
      countersign,
      socketPath: join(dataDir, "workload.sock"),
      close: stop,
      can: {
        ...deeds(countersign, entries),
        "stop-server": stop,
        "start-server": async () => {
          running = await launch(env);
        },
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Runs the server until `end`, on whatever is in its data directory. */
function launch(env) {
  return launchUntilReady(["serve", "--attest-own-uid"], env);
}

/**
 * Runs a command that goes on until it is ended, and returns once it says that it is ready.
 *
 * @returns what it said, and how to end it
 */
export async function launchUntilReady(words, env) {
  const child = spawn(process.execPath, [...command, ...words, "--json"], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  const end = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  const lines = createInterface(child.stdout);
  const [line] = await Promise.race([once(lines, "line"), ended.then(() => [""])]);
  if (line.includes('"ready"')) return { said: JSON.parse(line), end };
  await end();
  throw new Error(`${words[0]} did not start`);
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
  return {
    here: { ...here, can: { ...here.can, "rotate-authorities-of-other": () => rotateFor(here, there) } },
    there: { ...there, can: { ...there.can, "rotate-authorities-of-other": () => rotateFor(there, here) } },
    close: () => Promise.all([here.close(), there.close()]),
  };
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

/** New authorities of the other, which is then asked for its bundle. */
async function rotateFor(at, other) {
  await other.can["taint-x509-authority"]();
  await other.can["rotate-jwt-authority"]();
  await at.countersign("federation", "refresh", other.facts.trustDomain);
}

/** Agents with these hints, whose SVIDs the server itself gives, or the node that is named. */
export async function register(countersign, { hints, federatesWith, parent }) {
  const owner = await countersign("user", "create", "--name", "Alice");
  const entries = [];
  for (const hint of hints) {
    const agent = await countersign("agent", "create", "--owner", owner.id, "--name", hint, "--no-key");
    const is = ["--agent", agent.id, "--selector", `unix:uid:${process.getuid()}`, "--hint", hint];
    const verifies = [federatesWith ?? []].flat().flatMap((domain) => ["--federates-with", domain]);
    const by = parent === undefined ? [] : ["--parent", parent];
    entries.push(await countersign("entry", "create", ...is, ...verifies, ...by));
  }
  return entries;
}

/** What the clients are told of the server. */
function factsOf(trustDomain, issuer, entries) {
  return {
    trustDomain,
    identities: identitiesOf(entries),
    bundleUrl: `${issuer}/spiffe/bundle`,
  };
}

export const identitiesOf = (entries) =>
  entries.map(({ spiffe_id, hint }) => ({ spiffeId: spiffe_id, hint }));

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

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
