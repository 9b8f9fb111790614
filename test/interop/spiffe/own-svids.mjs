// The SVIDs that are Countersign's own: a server's at its ports, and a node's. Left in a directory for openssl.
import { spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { connect } from "node:tls";
import { main } from "./server.mjs";

/** Leaves what the server shows at its bundle port and its mTLS port, and what a node is given that joins it. */
export async function leaveOwn(seen, server) {
  const document = await (await fetch(server.facts.bundleUrl)).text();
  const authorities = JSON.parse(document).keys.flatMap(({ x5c = [] }) => x5c);
  const name = server.facts.trustDomain;
  for (const [kind, port] of Object.entries({ bundle: server.bundlePort, mtls: server.mtlsPort }))
    leave(seen, `${name}-${kind}-port`, { chain: await shownAt(port), authorities });
  leave(seen, `${name}-node`, { chain: await joinNode(server, document), authorities });
}

function leave(seen, name, { chain: [leaf, ...above], authorities }) {
  for (const [kind, certificates] of Object.entries({ leaf: [leaf], chain: above, authorities }))
    writeFileSync(join(seen, `${name}.${kind}.pem`), certificates.map(pemOf).join(""));
}

const pemOf = (base64) => new X509Certificate(Buffer.from(base64, "base64")).toString();

/** Without certificates above it: its authority is in the bundle. */
async function shownAt(port) {
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const shown = socket.getPeerX509Certificate().raw.toString("base64");
  socket.destroy();
  return [shown];
}

async function joinNode(server, bundle) {
  const dataDir = join(dirname(server.socketPath), "node");
  mkdirSync(dataDir);
  const trust = join(dataDir, "bundle.json");
  writeFileSync(trust, bundle);
  const { token } = await server.countersign("node", "join-token", "--name", "interop");
  const to = ["--server", `https://127.0.0.1:${server.mtlsPort}`, "--trust-bundle", trust];
  const words = [...to, "--data-dir", dataDir, "--join-token", token, "--json"];
  const node = spawn(process.execPath, ["--conditions=source", main, "node", "run", ...words], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(node, "close");
  try {
    const ready = once(createInterface(node.stdout), "line");
    const [line] = await Promise.race([ready, ended.then(() => [""])]);
    if (!line.includes('"ready"')) throw new Error("the node did not start");
    return JSON.parse(readFileSync(join(dataDir, "node.json"), "utf8")).certificates;
  } finally {
    node.kill("SIGTERM");
    await ended;
  }
}
