import { generateKeyPairSync, type KeyObject, randomUUID, sign } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { makeKeyPair } from "@countersign/sdk/client/key-pair";
import type { K8sCluster } from "../src/svid/attest/node/k8s-psat.ts";
import { selfSigned } from "./certificate.ts";

/** What an API server signs with. */
export interface ClusterKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicJwk: Record<string, unknown>;
}

/** An API server, as far as it is the issuer of service-account tokens: over TLS, as Kubernetes documents it. */
export interface ApiServer {
  readonly url: string;
  /** PEM: what to verify it by. */
  readonly ca: string;
  readonly key: ClusterKey;
  /** What was asked for, each with the bearer token that came with it. */
  readonly asked: { readonly path: string; readonly authorization: string | undefined }[];
  /** Answers in place of the real documents, by path. */
  readonly instead: Map<string, (request: IncomingMessage, response: ServerResponse) => void>;
  readonly close: () => void;
}

export const accountOf = { namespace: "countersign", name: "countersign-node" };

/** Makes a key as `kubeadm` does: RSA of 2048 bits. */
export function clusterKey(kid: string = randomUUID()): ClusterKey {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    kid,
    privateKey,
    publicJwk: { ...publicKey.export({ format: "jwk" }), kid, alg: "RS256", use: "sig" },
  };
}

/** A cluster whose key an operator gave to the server. */
export const pinnedCluster = ({ kid, publicJwk }: ClusterKey): K8sCluster => ({
  name: "one",
  issuer: "https://cluster.example",
  audience: "countersign",
  serviceAccounts: [`${accountOf.namespace}:${accountOf.name}`],
  maxAgeSeconds: 600,
  keyOf: async (named) =>
    named === kid
      ? crypto.subtle.importKey("jwk", publicJwk, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, false, [
          "verify",
        ])
      : undefined,
});

/** @see Kubernetes, "Service account issuer discovery": 401 for who is not known, 406 for who accepts another type */
export async function startApiServer(token?: string): Promise<ApiServer> {
  const tls = selfSigned((await makeKeyPair()).privateJwk, "kube-apiserver");
  const key = clusterKey();
  const asked: { path: string; authorization: string | undefined }[] = [];
  const instead: ApiServer["instead"] = new Map();
  const server = createServer(tls satisfies ServerOptions, (request, response) => {
    const { authorization, accept } = request.headers;
    const path = request.url ?? "";
    asked.push({ path, authorization });
    const other = instead.get(path);
    if (other !== undefined) return other(request, response);
    if (token !== undefined && authorization !== `Bearer ${token}`) return response.writeHead(401).end();
    if (request.method !== "GET") return response.writeHead(405).end();
    const documents: Record<string, unknown> = {
      "/.well-known/openid-configuration": {
        issuer: url,
        jwks_uri: `${url}/openid/v1/jwks`,
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["RS256"],
      },
      "/openid/v1/jwks": { keys: [key.publicJwk] },
    };
    if (!(path in documents)) return response.writeHead(404).end();
    const type = path.endsWith("jwks") ? "application/jwk-set+json" : "application/json";
    const isAccepted = (accept ?? "*/*").split(/,\s*/).some((one) => one === type || one === "*/*");
    if (!isAccepted) return response.writeHead(406).end();
    return response.writeHead(200, { "content-type": type }).end(JSON.stringify(documents[path]));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url, ca: tls.cert, key, asked, instead, close };
}

export interface TokenChanges {
  readonly claims?: Record<string, unknown>;
  /** Of the private claims. */
  readonly bound?: Record<string, unknown>;
  readonly header?: Record<string, unknown>;
  readonly key?: ClusterKey;
  /** Milliseconds since the epoch. */
  readonly nowMs?: number;
}

/** A token as the kubelet projects it into a pod; `undefined` takes a member away. */
export function projectedToken(issuer: string, key: ClusterKey, changes: TokenChanges = {}): string {
  const nowSeconds = Math.floor((changes.nowMs ?? Date.now()) / 1000);
  const payload = {
    iss: issuer,
    sub: `system:serviceaccount:${accountOf.namespace}:${accountOf.name}`,
    aud: ["countersign"],
    iat: nowSeconds,
    nbf: nowSeconds,
    exp: nowSeconds + 600,
    jti: randomUUID(),
    ...changes.claims,
    "kubernetes.io": {
      namespace: accountOf.namespace,
      serviceaccount: { name: accountOf.name, uid: "e6a8680e-d103-4cce-80ea-03acbbeacf7d" },
      pod: { name: "countersign-node-x7k2p", uid: "0d8b260e-ef0e-45fb-be8e-ff44f97722e8" },
      node: { name: "worker-1.example", uid: "517eb86e-b863-451b-bf70-86cb61439a3a" },
      warnafter: nowSeconds + 3_607,
      ...changes.bound,
    },
  };
  const { privateKey, kid } = changes.key ?? key;
  const signed = [{ alg: "RS256", kid, ...changes.header }, payload].map(encoded).join(".");
  const signature = sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}

export const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
