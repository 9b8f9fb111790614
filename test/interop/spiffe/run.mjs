// Has stock SPIFFE software (go-spiffe, py-spiffe, spiffe-helper, Envoy, openssl) use the Workload API of running servers and
// of a node, which meanwhile rotate their keys, delete their entries, stop and start again. Ends with 77 where Go is not to
// be had; what else is not to be had is told in the closing line.
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildGo, converse, installEnvoy, installPython, pythonCheck } from "./clients.mjs";
import { checkEnvoy } from "./envoy.mjs";
import { checkFederatedHelper, checkHelper } from "./helper.mjs";
import { joinNode, withAgents } from "./node.mjs";
import { checkSeen, missing } from "./openssl.mjs";
import { leaveOwn } from "./own-svids.mjs";
import { federationWith, publishedIn } from "./published.mjs";
import { bundleEndpointOf, freePort, lone, startFederatedPair, startServer } from "./server.mjs";

const total = { passed: 0, failed: 0, skipped: 0 };

function add({ passed, failed }) {
  total.passed += passed;
  total.failed += failed;
}

function tell(program, name, fault) {
  console.info(fault === undefined ? `ok ${program}: ${name}` : `FAILED ${program}: ${name}: ${fault}`);
  add(fault === undefined ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 });
}

function skip(program, reason) {
  console.info(`${program} did not run: ${reason}`);
  total.skipped++;
}

async function runClients(directory) {
  const seen = join(directory, "seen");
  mkdirSync(seen);
  const python = installPython();
  if (python.command === undefined) skip("py-spiffe", python.reason);
  const clients = {
    seen,
    helper: join(directory, "spiffe-helper"),
    askGo: async (at) => add(await converse(join(directory, "conformance"), [], at)),
    askPython: async (at) => {
      if (python.command !== undefined) add(await converse(python.command, ["-B", pythonCheck], at));
    },
  };
  await runAlone(directory, clients);
  await runFederated(directory, clients);
  await runPublisher(directory, clients);
  await runNode(directory, clients);
  const reason = missing();
  if (reason !== undefined) skip("openssl", reason);
  else for (const [name, fault] of checkSeen(seen)) tell("openssl", name, fault);
}

async function runAlone(directory, { seen, helper, askGo, askPython }) {
  const dataDir = join(directory, "server");
  mkdirSync(dataDir);
  const started = await startServer(dataDir);
  const server = { ...started, facts: { ...started.facts, seen } };
  try {
    await askPython(server);
    for await (const [name, fault] of checkHelper(helper, directory, server))
      tell("spiffe-helper", name, fault);
    const envoy = installEnvoy();
    if (envoy.command === undefined) skip("Envoy", envoy.reason);
    else
      for await (const [name, fault] of checkEnvoy(envoy.command, directory, server))
        tell("Envoy", name, fault);
    // Last: it ends with the entries deleted.
    await askGo(server);
  } finally {
    await server.close();
  }
}

async function runFederated(directory, { seen, helper, askGo, askPython }) {
  const pair = await startFederatedPair(directory);
  try {
    for (const [here, there] of [
      [pair.here, pair.there],
      [pair.there, pair.here],
    ]) {
      const [{ spiffeId }] = there.facts.identities;
      const { trustDomain } = there.facts;
      const { url: endpoint, id: endpointId } = bundleEndpointOf(there);
      const socket = `unix://${there.socketPath}`;
      const other = { trustDomain, spiffeId, socket, endpoint, endpointId };
      const at = { ...here, facts: { ...here.facts, seen, other } };
      await askGo(at);
      await askPython(at);
      for await (const [name, fault] of checkFederatedHelper(helper, directory, { here, there }))
        tell("spiffe-helper", name, fault);
      await leaveOwn(seen, here);
    }
  } finally {
    await pair.close();
  }
}

async function runPublisher(directory, { seen, askGo }) {
  const dataDir = join(directory, "subscriber");
  mkdirSync(dataDir);
  const published = await publishedIn(directory);
  const federatesWith = published.map(({ trustDomain }) => trustDomain);
  const server = await startServer(dataDir, { ...lone, hints: ["one"], federatesWith });
  try {
    const facts = { ...server.facts, seen, published };
    await askGo({ ...server, facts, can: { ...server.can, ...federationWith(server, published) } });
  } finally {
    await server.close();
  }
}

async function runNode(directory, { seen, askGo, askPython }) {
  const dataDir = join(directory, "behind");
  mkdirSync(dataDir);
  const server = await startServer(dataDir, { ...lone, mtlsPort: await freePort() });
  try {
    const node = await joinNode(server);
    try {
      const at = await withAgents(node, server);
      at.facts.seen = seen;
      await askGo(at);
      await askPython(at);
    } finally {
      await node.close();
    }
  } finally {
    await server.close();
  }
}

if (process.platform !== "linux") {
  console.info("the Workload API needs Linux");
  process.exit(77);
}
const directory = mkdtempSync(join(tmpdir(), "countersign-spiffe-"));
// PostgreSQL's account must get through when this runs as root.
chmodSync(directory, 0o755);
try {
  const reason = buildGo(directory);
  if (reason === undefined) {
    await runClients(directory);
    const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
    console.info(`${total.passed} passed, ${total.failed} failed${skipped}`);
    process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
  } else {
    console.info(reason);
    process.exitCode = 77;
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
