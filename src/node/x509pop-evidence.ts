import { createPrivateKey, sign } from "node:crypto";
import { type NodeEvidence, nodeNonceSchema, x509popProof } from "@countersign/sdk/contract/node-face";
import type { ServerConnection } from "./server-connection.ts";

/**
 * What a machine joins with that holds the key of a certificate: it signs a nonce of the server's, and the key that is to be
 * certified.
 *
 * @throws Error for PEM texts that hold no certificate or no key; RefusedError, UnreachableError
 */
export async function x509popEvidence(
  connection: ServerConnection,
  publicKey: Uint8Array,
  certPem: string,
  keyPem: string,
): Promise<NodeEvidence> {
  const pems = certPem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const certificates = pems.map((pem) => pem.replaceAll(/-----[^-]+-----|\s/g, ""));
  const { nonce } = await connection.post("/v1/node/nonce", {}, nodeNonceSchema);
  const message = x509popProof(nonce, Buffer.from(publicKey).toString("base64"));
  const key = createPrivateKey(keyPem);
  const algorithm = key.asymmetricKeyType === "ed25519" ? null : "sha256";
  const signature = sign(algorithm, Buffer.from(message), key).toString("base64");
  return { kind: "x509pop", certificates, nonce, signature };
}
