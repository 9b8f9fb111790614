import { createPrivateKey, randomBytes } from "node:crypto";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { makeKeyPair, type PrivateJwk, publicJwkOf } from "@countersign/sdk/client/key-pair";
import { signClientAssertion, signDpopProof } from "@countersign/sdk/client/sign";
import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { logOf, newId, type OrganizationId } from "@countersign/sdk/model/ids";
import { type Principal, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { type JSONWebKeySet, type JWTPayload, SignJWT } from "jose";
import { type ClientProfile, strictProfile } from "../../src/domain/client.ts";
import { createIssuerFace } from "../../src/issuer/face.ts";
import type {
  AuthenticationFailure,
  IssuedToken,
  IssuerDeps,
  PushedRequest,
  RefusedRequest,
  RegisteredClient,
  TokenKeys,
} from "../../src/issuer/issuer-deps.ts";
import type { IssueRequest } from "../../src/journeys/token/issue.ts";
import type { PreparedToken } from "../../src/journeys/token/prepared-token.ts";
import { signEs256 } from "../../src/keys/sign-es256.ts";
import { usesUpAtOnce } from "../used-once.ts";

const organization = "default" as OrganizationId;
export const trustDomain = "issuer.example" as TrustDomain;
export const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
export const signDeps = {
  now: () => Date.now(),
  randomBytes: (count: number) => new Uint8Array(randomBytes(count)),
};

export interface Party {
  readonly principal: Principal;
  readonly clientId: string;
  readonly key: PrivateJwk;
}

export async function makeParty(kind: Principal["kind"] = "agent"): Promise<Party> {
  const principal = { kind, organization, id: newId(kind, Date.now(), randomBytes(16)) } as Principal;
  const { privateJwk } = await makeKeyPair();
  return { principal, clientId: spiffeIdOf(trustDomain, principal), key: privateJwk };
}

export async function makeTokenKeys(others: TokenKeys["published"] = []): Promise<TokenKeys> {
  const { privateJwk, publicJwk } = await makeKeyPair();
  const kid = privateJwk.kid ?? "";
  const privateKey = createPrivateKey({ key: privateJwk, format: "jwk" });
  const sign = (message: Uint8Array) => signEs256(privateKey, message);
  return { active: { kid, sign }, published: [{ ...publicJwk, kid }, ...others] };
}

/** What the fakes of the journeys were asked, and what they hold. */
export interface Journal {
  readonly issued: IssueRequest[];
  readonly exchanged: Parameters<IssuerDeps["exchangeToken"]>[0][];
  readonly revoked: Parameters<IssuerDeps["revokeToken"]>[0][];
  readonly failures: AuthenticationFailure[];
  readonly refused: RefusedRequest[];
  readonly told: IssuedToken[];
  readonly unexpected: unknown[];
  readonly recorded: AccessTokenClaims[];
}

/** The face on a real socket, over journeys that live in memory. `changes` replaces dependencies. */
export async function startIssuer(parties: readonly Party[], changes: Partial<IssuerDeps> = {}) {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const journal: Journal = {
    issued: [],
    exchanged: [],
    revoked: [],
    failures: [],
    refused: [],
    told: [],
    unexpected: [],
    recorded: [],
  };
  const keys = await makeTokenKeys();
  const deps = { ...fakes(issuer, keys, parties, journal), ...changes };
  const face = createIssuerFace(deps);
  server.on("request", face.handle);
  return {
    issuer,
    deps,
    face,
    journal,
    keys,
    stop: () => new Promise((resolve) => server.close(resolve).closeAllConnections()),
  };
}
export type RunningIssuer = Awaited<ReturnType<typeof startIssuer>>;

/** What the nonces of these issuers follow from. */
export const nonceSecret = new Uint8Array(32);

/** A client with one key, and a profile that only says what is told. */
export function registered(
  clientId: string,
  key: PrivateJwk,
  profile: Partial<ClientProfile> = {},
): RegisteredClient {
  return { clientId, jwks: { keys: [publicJwkOf(key)] }, profile: { ...strictProfile, ...profile } };
}

function fakes(issuer: string, keys: TokenKeys, parties: readonly Party[], journal: Journal): IssuerDeps {
  const clients = new Map<string, RegisteredClient>(
    parties.map(({ clientId, key }) => [clientId, registered(clientId, key)]),
  );
  const seen = new Set<string>();
  const useUp = usesUpAtOnce();
  const pins = new Map<string, string>();
  const pushed = new Map<string, PushedRequest>();
  const record = (request: IssueRequest, more: Partial<AccessTokenClaims>): PreparedToken => {
    const nowSeconds = Math.floor(Date.now() / 1000);
    const claims: AccessTokenClaims = {
      iss: issuer,
      sub: spiffeIdOf(trustDomain, request.client),
      aud: request.resource ?? "https://only.example",
      client_id: spiffeIdOf(trustDomain, request.client),
      org: organization,
      jti: newId("token", Date.now(), randomBytes(16)),
      iat: nowSeconds,
      exp: nowSeconds + 240,
      ...(request.scope && { scope: request.scope.join(" ") }),
      txn: newId("transaction", Date.now(), randomBytes(16)),
      ...(request.confirmation && { cnf: request.confirmation }),
      ...more,
    };
    journal.recorded.push(claims);
    return { claims, ledger: { log: logOf(organization), index: journal.recorded.length - 1 } };
  };
  return {
    ...signDeps,
    issuer,
    trustDomain,
    tokenKeys: () => keys,
    dpopNonceSecret: nonceSecret,
    mutualTls: undefined,
    certificateOf: () => undefined,
    originAsked: () => issuer,
    svidBundle: () => ({ trustDomain, x509Authorities: [], jwtAuthorities: [] }),
    pinAssertion: async ({ hash, jkt }) => {
      pins.set(hash, pins.get(hash) ?? jkt);
      return pins.get(hash) === jkt;
    },
    assertIdentity: async () => {
      throw new VerificationError("issuer_unknown", "nobody is trusted here");
    },
    assertPerson: async () => {
      throw new VerificationError("issuer_unknown", "nobody is trusted here");
    },
    demandProven: async () => undefined,
    keepPushedRequest: async (request) => void pushed.set(request.id, request),
    usePushedRequest: async ({ id, clientId }) => {
      const request = pushed.get(id);
      if (request?.clientId !== clientId) return undefined;
      pushed.delete(id);
      return request.payload;
    },
    findClient: async (clientId) => clients.get(clientId),
    rememberOnce: async (used) => {
      const key = JSON.stringify(used);
      return !seen.has(key) && seen.add(key).has(key);
    },
    useUp: async (used, expiresAt) => ({
      writes: [await useUp(JSON.stringify(used), expiresAt)],
      conditions: [],
    }),
    issueToken: async (request) => {
      journal.issued.push(request);
      return record(request, { sub_profile: "ai_agent" });
    },
    exchangeToken: async (request) => {
      journal.exchanged.push(request);
      const presenter = {
        iss: issuer,
        sub: spiffeIdOf(trustDomain, request.client),
        sub_profile: "ai_agent",
      };
      return record(request, {
        sub: "usr_alice",
        delegation: "person" in request ? "" : request.subjectToken,
        act: presenter,
      });
    },
    introspectToken: async ({ caller, token }) => {
      const jti = jtiOf(token);
      const claims = journal.recorded.find((known) => known.jti === jti);
      return claims?.client_id === spiffeIdOf(trustDomain, caller) ? claims : undefined;
    },
    revokeToken: async (request) => journal.revoked.push(request),
    isUnavailable: () => false,
    onAuthenticationFailure: (failure) => journal.failures.push(failure),
    onRefused: (refused) => journal.refused.push(refused),
    onIssued: (issued) => journal.told.push(issued),
    onUnexpectedError: (error) => journal.unexpected.push(error),
  };
}

function jtiOf(token: string): unknown {
  const [, payload] = token.split(".");
  if (payload === undefined) return undefined;
  return JSON.parse(Buffer.from(payload, "base64url").toString()).jti;
}

/** A client assertion with `claims` and `header` laid over a good one; undefined removes a member. */
export async function assertionOf(
  issuer: string,
  { clientId, key }: Party,
  claims: JWTPayload = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const base = { iss: clientId, sub: clientId, aud: issuer, jti: randomBytes(12).toString("hex") };
  return new SignJWT(without({ ...base, iat: nowSeconds, exp: nowSeconds + 60, ...claims }))
    .setProtectedHeader(without({ alg: "ES256", kid: key.kid ?? "", ...header }))
    .sign(key);
}

function without<Members extends object>(members: Members): Members {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Members;
}

export interface Sent {
  readonly headers?: Record<string, string>;
  /** Laid over the parameters that authenticate; undefined removes one. */
  readonly parameters?: Record<string, string | undefined>;
}

/** Posts a form to an endpoint as this client. */
export async function post(
  issuer: string,
  path: string,
  party: Party,
  { headers = {}, parameters = {} }: Sent = {},
) {
  const authentication = {
    client_assertion_type: assertionType,
    client_assertion: await signClientAssertion(signDeps, { ...party, issuer }),
  };
  const form = new URLSearchParams(without({ ...authentication, ...parameters }) as Record<string, string>);
  return answerOf(await fetch(`${issuer}${path}`, { method: "POST", headers, body: form }));
}

/** Posts a body as it is. */
export async function postRaw(url: string, body: string | Buffer, headers: Record<string, string> = {}) {
  const type = { "content-type": "application/x-www-form-urlencoded" };
  return answerOf(await fetch(url, { method: "POST", headers: { ...type, ...headers }, body }));
}

/** Sends a request that names another host than it is sent to, which fetch does not do. */
export function sendToHost(url: string, host: string, body?: string, headers: Record<string, string> = {}) {
  const type = "application/x-www-form-urlencoded";
  return new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
    const method = body === undefined ? "GET" : "POST";
    const sent = request(url, { method, headers: { host, "content-type": type, ...headers } }, (response) => {
      response
        .toArray()
        .then(
          (chunks) => resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() }),
          reject,
        );
    });
    sent.on("error", reject).end(body);
  });
}

/** Status, headers, text, and the JSON if it is any. */
export async function answerOf(response: Response) {
  const text = await response.text();
  const json = response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : {};
  return { status: response.status, headers: response.headers, text, json };
}

export const proofOf = (url: string, key: PrivateJwk) =>
  signDpopProof(signDeps, { key, method: "POST", url });

/** The keys that the issuer publishes. */
export async function jwksOf(issuer: string): Promise<JSONWebKeySet> {
  return (await answerOf(await fetch(`${issuer}/jwks`))).json;
}
