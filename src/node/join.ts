import { attestedNodeSchema, type NodeEvidence, nodeSvidSchema } from "@countersign/sdk/contract/node-face";
import { parseSpiffeId, trustDomainOf } from "@countersign/sdk/model/spiffe-id";
import type { z } from "zod";
import { base64Of, bytesOf } from "../domain/base64.ts";
import { newKeyPair } from "../svid/key-pair.ts";
import { bundlesOf, type NodeIdentity } from "./node-identity.ts";
import type { ServerConnection } from "./server-connection.ts";

/**
 * Shows evidence to the server and becomes a node.
 *
 * @throws RefusedError `not_attested`, `conflict`; UnreachableError
 */
export async function join(
  connection: ServerConnection,
  evidenceFor: (connection: ServerConnection, publicKey: Uint8Array) => Promise<NodeEvidence>,
  now: () => number,
): Promise<NodeIdentity> {
  const { publicKey, privateKey } = newKeyPair();
  const evidence = await evidenceFor(connection, publicKey);
  const body = { public_key: base64Of(publicKey), evidence };
  const { node, ...svid } = await connection.post("/v1/node/attest", body, attestedNodeSchema);
  return { node, ...identityOf(svid, privateKey, now()) };
}

/** Gets the next X.509-SVID of the node itself, for a new key. @throws RefusedError, UnreachableError */
export async function renew(
  connection: ServerConnection,
  identity: NodeIdentity,
  now: () => number,
): Promise<NodeIdentity> {
  const { publicKey, privateKey } = newKeyPair();
  const svid = await connection.post("/v1/node/renew", { public_key: base64Of(publicKey) }, nodeSvidSchema);
  const next = identityOf(svid, privateKey, now());
  if (next.spiffeId !== identity.spiffeId) throw new Error("the server gave an SVID of another node");
  return { node: identity.node, ...next };
}

function identityOf(
  { spiffe_id, certificates, expires_at, bundles }: z.output<typeof nodeSvidSchema>,
  privateKey: Uint8Array,
  issuedAtMs: number,
): Omit<NodeIdentity, "node"> {
  const spiffeId = parseSpiffeId(spiffe_id);
  if (spiffeId === undefined) throw new Error("the server gave an SVID without a SPIFFE ID");
  return {
    spiffeId,
    trustDomain: trustDomainOf(spiffeId),
    certificates: certificates.map(bytesOf),
    privateKey,
    issuedAtMs,
    expiresAtMs: Date.parse(expires_at),
    issuer: bundles.issuer,
    bundles: bundlesOf(bundles),
  };
}
