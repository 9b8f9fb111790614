import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import { signDpopProof } from "@countersign/sdk/client/sign";
import { parseOrganizationId } from "@countersign/sdk/model/ids";
import { parseTrustDomain } from "@countersign/sdk/model/spiffe-id";
import { createProofReplayMemory } from "@countersign/sdk/verify/proof-replay";
import { calculateJwkThumbprint, createLocalJWKSet, SignJWT } from "jose";
import { DomainError } from "../../src/domain/domain-error.ts";
import type { AdminJourneys, AdminRecords } from "../../src/http/admin-deps.ts";
import { createHttpFace, type HttpFaceDeps } from "../../src/http/http-face.ts";
import { createLogger } from "../../src/http/logger.ts";
import { createMetrics } from "../../src/http/metrics.ts";
import { createStreams } from "../../src/http/streams.ts";

export const operatorId = "opr_01arz3ndektsv4rrffq69g5fav";
export const agentId = "agt_01arz3ndektsv4rrffq69g5fav";
export const userId = "usr_01arz3ndektsv4rrffq69g5fav";

/** Whatever a test does not expect to be called fails it. */
export function refusing<Shape extends object>(named: Partial<Shape>): Shape {
  return new Proxy(named, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (member !== undefined) return member;
      return () => Promise.reject(new Error(`unexpected call of ${String(name)}`));
    },
  }) as Shape;
}

export interface FaceOptions {
  readonly journeys?: Partial<AdminJourneys>;
  readonly records?: Partial<AdminRecords>;
  readonly deps?: Partial<HttpFaceDeps>;
}

/** A running face with journeys and reads that the test gives, and callers who can sign in to it. */
export async function openFace({ journeys = {}, records = {}, deps = {} }: FaceOptions = {}) {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuing = await makeKeyPair();
  const logged: string[] = [];
  const failures: unknown[] = [];
  const refused: unknown[] = [];
  const trustDomain = parseTrustDomain("127.0.0.1");
  const organization = parseOrganizationId("default");
  if (trustDomain === undefined || organization === undefined) throw new Error("no trust domain");
  const face = createHttpFace({
    issuer,
    version: "0.0.0",
    trustDomain,
    runBy: organization,
    logger: createLogger("debug", { write: (line) => logged.push(line) }),
    metrics: createMetrics(),
    keys: createLocalJWKSet({ keys: [issuing.publicJwk] }),
    replays: createProofReplayMemory({ now: Date.now }),
    now: Date.now,
    randomBytes: (count) => new Uint8Array(randomBytes(count)),
    isLive: async () => true,
    findClient: async () => undefined,
    nonces: { next: () => "next", accepts: (nonce) => nonce === "next" },
    certificateOf: () => undefined,
    certificatePathOf: () => "handshake",
    originAsked: () => issuer,
    isOutage: () => false,
    trustBundle: () => ({ trustDomain, x509Authorities: [], jwtAuthorities: [] }),
    checks: [],
    oauth: { handles: (path) => path === "/token", listener: (_request, response) => response.end("oauth") },
    onAuthenticationFailure: (failure) => failures.push(failure),
    journeys: refusing<AdminJourneys>({
      refuseRequest: async ({ caller, endpoint, code, publicDetail, context }) => {
        refused.push({ caller: caller.id, endpoint, context });
        return new DomainError(code, publicDetail);
      },
      ...journeys,
    }),
    records: refusing<AdminRecords>(records),
    status: () => Promise.reject(new Error("unexpected")),
    logs: refusing<HttpFaceDeps["logs"]>({}),
    repeats: refusing<HttpFaceDeps["repeats"]>({}),
    feed: refusing<HttpFaceDeps["feed"]>({}),
    streams: createStreams(),
    nodes: refusing<HttpFaceDeps["nodes"]>({}),
    nodeStreams: createStreams(),
    ...deps,
  });
  server.on("request", face);
  return {
    issuer,
    logged,
    /** Who could not prove who they are, as the face told. */
    failures,
    /** Who was refused before any journey began, as it was to be recorded. */
    refused,
    server,
    callerWith: (scope: string, clientKind: "operator" | "agent" = "operator", lifetimeSeconds = 300) =>
      makeCaller(issuer, issuing.privateJwk, { scope, kind: clientKind, lifetimeSeconds }),
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

async function makeCaller(
  issuer: string,
  issuingKey: PrivateJwk,
  { scope, kind, lifetimeSeconds }: { scope: string; kind: "operator" | "agent"; lifetimeSeconds: number },
) {
  const { publicJwk, privateJwk } = await makeKeyPair();
  const clientId = `spiffe://127.0.0.1/org/default/${kind}/${kind === "operator" ? operatorId : agentId}`;
  const nowSeconds = Math.floor(Date.now() / 1000);
  const accessToken = await new SignJWT({
    sub: clientId,
    client_id: clientId,
    org: "default",
    jti: "tok_1",
    scope,
    txn: "txn_of_the_token",
    cnf: { jkt: await calculateJwkThumbprint(publicJwk) },
  })
    .setProtectedHeader({ alg: "ES256", typ: "at+jwt", ...(issuingKey.kid && { kid: issuingKey.kid }) })
    .setIssuer(issuer)
    .setAudience(`${issuer}/v1`)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + lifetimeSeconds)
    .sign(issuingKey);
  const signDeps = { now: Date.now, randomBytes: (count: number) => new Uint8Array(randomBytes(count)) };
  const headersFor = async (method: string, path: string, nonce?: string) => {
    const url = `${issuer}${path}`;
    const dpop = await signDpopProof(signDeps, { key: privateJwk, method, url, accessToken, nonce });
    return { authorization: `DPoP ${accessToken}`, dpop };
  };
  return {
    accessToken,
    headersFor,
    async send(method: string, path: string, body?: string | object, headers: Record<string, string> = {}) {
      return fetch(`${issuer}${path}`, {
        method,
        headers: { "content-type": "application/json", ...(await headersFor(method, path)), ...headers },
        ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
    },
  };
}
