// A node that joins a running server, with two keyless agents of its own that every process of this account is.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { identitiesOf, launchUntilReady, register } from "./server.mjs";

/** Joins by a token, knowing the server by the trust bundle that it publishes; `close` ends it. */
export async function joinNode(server) {
  const dataDir = join(dirname(server.socketPath), "node");
  mkdirSync(dataDir);
  const trust = join(dataDir, "bundle.json");
  writeFileSync(trust, await (await fetch(server.facts.bundleUrl)).text());
  const { token } = await server.countersign("node", "join-token", "--name", "interop");
  const to = ["--server", `https://127.0.0.1:${server.mtlsPort}`, "--trust-bundle", trust];
  const is = ["--data-dir", dataDir, "--join-token", token, "--health-port", "none", "--attest-own-uid"];
  const { said, end } = await launchUntilReady(["node", "run", ...to, ...is], process.env);
  return {
    id: said.node,
    socketPath: said.socket,
    certificates: JSON.parse(readFileSync(join(dataDir, "node.json"), "utf8")).certificates,
    close: end,
  };
}

/** The node as the clients are to see it: its socket, its agents, and what can befall its server. */
export async function withAgents(node, server) {
  const entries = await register(server.countersign, { hints: ["one", "two"], parent: node.id });
  const { facts, can } = server;
  return {
    socketPath: node.socketPath,
    facts: { ...facts, identities: identitiesOf(entries), isNode: true },
    can,
  };
}
