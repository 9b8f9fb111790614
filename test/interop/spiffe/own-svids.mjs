// The SVIDs that are Countersign's own: a server's at its ports, and a node's. Left in a directory for openssl.
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { joinNode } from "./node.mjs";

/** Leaves what the server shows at its bundle port and its mTLS port, and what a node is given that joins it. */
export async function leaveOwn(seen, server) {
  const facts = { ...server.facts, seen };
  const name = facts.trustDomain;
  for (const [kind, port] of Object.entries({ bundle: server.bundlePort, mtls: server.mtlsPort }))
    await leaveShown(facts, `${name}-${kind}-port`, port);
  const node = await joinNode(server);
  await node.close();
  leave(seen, `${name}-node`, { chain: node.certificates, authorities: await authoritiesOf(facts) });
}

/** Leaves what is shown at a port, whoever shows it. */
export async function leaveShown(facts, name, port) {
  leave(facts.seen, name, { chain: await shownAt(port), authorities: await authoritiesOf(facts) });
}

/** The X.509 authorities that a server publishes, each in base64. */
export async function authoritiesOf({ bundleUrl }) {
  const { keys } = await (await fetch(bundleUrl)).json();
  return keys.flatMap(({ x5c = [] }) => x5c);
}

function leave(seen, name, { chain: [leaf, ...above], authorities }) {
  for (const [kind, certificates] of Object.entries({ leaf: [leaf], chain: above, authorities }))
    writeFileSync(join(seen, `${name}.${kind}.pem`), certificates.map(pemOf).join(""));
}

const pemOf = (base64) => new X509Certificate(Buffer.from(base64, "base64")).toString();

/** Without certificates above it: its authority is in the bundle. */
async function shownAt(port) {
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  // It may not like us: what it shows is all that is asked.
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  const shown = socket.getPeerX509Certificate().raw.toString("base64");
  socket.destroy();
  return [shown];
}
