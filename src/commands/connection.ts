import { existsSync } from "node:fs";
import { type Client, type ClientIdentity, createClient } from "@countersign/sdk/client/client";
import { RefusedError, type UnreachableError } from "@countersign/sdk/client/client-error";
import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import { send } from "@countersign/sdk/client/send";
import { parseId, parseOrganizationId } from "@countersign/sdk/model/ids";
import { parseSpiffeId, spiffeIdOf } from "@countersign/sdk/model/spiffe-id";
import { z } from "zod";
import type { Config } from "../config.ts";
import { tlsFailureOf } from "../fetch/tls-failure.ts";
import { operatorKeyPath } from "../journeys/installation/operator-key-file.ts";
import { type Cli, CommandError, UsageError } from "./cli.ts";
import { readKeyToUse } from "./key-file.ts";

const defaultOrganization = parseOrganizationId("default");

/** A client of the server, signed in as the operator whose key the settings or the data directory name. */
export async function operatorClient(cli: Cli, config: Config = cli.readConfig()): Promise<Client> {
  return createClientOf(cli, config, await operatorIdentity(cli, config));
}

/** Who that operator is, and which issuer they trust. @throws UsageError, CommandError, RefusedError, UnreachableError */
export async function operatorIdentity(cli: Cli, config: Config = cli.readConfig()): Promise<ClientIdentity> {
  const path = config.operatorKeyFile ?? operatorKeyPath(config.dataDir);
  if (!existsSync(path)) throw noOperatorKey(config, path);
  const key = await readKeyToUse(cli, path);
  if (key.clientId === undefined) throw new UsageError(`${path} does not say whose key it is (clientId)`);
  return { issuer: await issuerOf(cli, config), clientId: key.clientId, key: key.privateJwk };
}

function noOperatorKey({ operatorKeyFile }: Config, path: string): CommandError {
  const what =
    operatorKeyFile === undefined
      ? `no operator's key at ${path}: start a server with \`countersign serve\`, set COUNTERSIGN_DATA_DIR to its data directory, or COUNTERSIGN_OPERATOR_KEY to a key file`
      : `COUNTERSIGN_OPERATOR_KEY names no file: ${path} does not exist`;
  return new CommandError("no_operator_key", what);
}

/** What to do where no server answers, or none whose certificate counts. */
export function unreachableText(error: UnreachableError): string {
  const { server } = error;
  const failure = tlsFailureOf(error);
  if (failure === "certificate")
    return `the certificate that ${server} shows is not one that this machine's authorities lead to, for this name: set COUNTERSIGN_SERVER to the name in it, or NODE_EXTRA_CA_CERTS to a PEM file of its authority`;
  if (failure === "ours") return `${oursText(server)}; set COUNTERSIGN_SERVER`;
  if (failure === "handshake") return `${handshakeText(server)}; set COUNTERSIGN_SERVER`;
  return `no server answers at ${server}: start one with \`countersign serve\`, or set COUNTERSIGN_SERVER`;
}

/** What it means that the other side wants another certificate of ours, or any. */
export function oursText(server: string): string {
  return `what answers at ${server} refuses this machine's certificate, or that it shows none`;
}

/** What it means that TLS was not understood. */
export function handshakeText(server: string): string {
  return `what answers at ${server} and this machine find no TLS in common: plain http may be what it speaks`;
}

/** A client of the server, signed in as an agent. @throws CommandError, RefusedError, UnreachableError */
export async function clientOf(cli: Cli, config: Config, clientId: string, key: PrivateJwk): Promise<Client> {
  return createClientOf(cli, config, { issuer: await issuerOf(cli, config), clientId, key });
}

/**
 * A client of the server, signed in as the agent that this very process is by the Workload API, with a key for this once.
 *
 * @param socket the path of the Workload API's socket
 * @throws CommandError, RefusedError, UnreachableError
 */
export async function workloadClient(cli: Cli, config: Config, socket: string): Promise<Client> {
  const issuer = await issuerOf(cli, config);
  // gRPC is loaded by who asks for it: the other commands start faster.
  const { fetchJwtSvid } = await import("./workload-svid.ts");
  const answer = await fetchJwtSvid(socket, issuer).catch((error: unknown) => {
    throw new CommandError("unreachable", `no Workload API answers at ${socket}`, error);
  });
  if (answer.is === "denied") {
    const advice = "`countersign entry create` says which processes are an agent";
    throw new CommandError("no_identity", `this process is no agent (${answer.detail}): ${advice}`);
  }
  const { privateJwk: key } = await makeKeyPair();
  return createClientOf(cli, config, { issuer, clientId: answer.spiffeId, key, svid: answer.token });
}

function createClientOf(cli: Cli, { server }: Config, identity: ClientIdentity): Client {
  return createClient({ ...cli, fetch: fetchThrough(cli.fetch, identity.issuer, server) }, identity);
}

const discoverySchema = z
  .looseObject({ issuer: z.url({ protocol: /^https?$/ }).max(2048), token_endpoint: z.string() })
  .refine(({ issuer, token_endpoint }) => token_endpoint === `${issuer}/token`);

/**
 * The issuer that answers at the server's address: assertions and proofs name it, wherever they are sent to. A server
 * that calls itself by another name than COUNTERSIGN_ISSUER gets none, for it could pass them on.
 *
 * @throws CommandError, RefusedError, UnreachableError
 */
export async function issuerOf(cli: Cli, { server, issuer, assumed }: Config): Promise<string> {
  const url = `${server}/.well-known/openid-configuration`;
  const response = await send(cli, server, url, {}).catch((error: unknown) => {
    const isOther = error instanceof RefusedError && error.code === "unexpected_answer" && error.status < 500;
    throw isOther ? notCountersign(server, error) : error;
  });
  const found = discoverySchema.safeParse(await response.json().catch(() => undefined));
  if (!found.success) throw notCountersign(server, found.error);
  if (!assumed.includes("issuer") && found.data.issuer !== issuer) {
    throw new CommandError(
      "other_issuer",
      `the server at ${server} is ${found.data.issuer}, but COUNTERSIGN_ISSUER is ${issuer}`,
    );
  }
  return found.data.issuer;
}

function notCountersign(server: string, cause: unknown): CommandError {
  return new CommandError(
    "not_countersign",
    `what answers at ${server} is not Countersign: set COUNTERSIGN_SERVER to the address of one`,
    cause,
  );
}

/** A fetch that sends what is meant for the issuer to the address where its server is reached from here. */
function fetchThrough(fetch: Cli["fetch"], issuer: string, server: string): Cli["fetch"] {
  return (input, init) => {
    const isForIssuer = typeof input === "string" && input.startsWith(`${issuer}/`);
    return fetch(isForIssuer ? `${server}${input.slice(issuer.length)}` : input, init);
  };
}

/** A request that anybody may make. */
export async function getPublic(cli: Cli, path: string): Promise<Response> {
  const { server } = cli.readConfig();
  return send(cli, server, `${server}${path}`, {});
}

// A checkpoint covers an entry at most a second after it was committed, unless the machine is slow.
const publicationTimeoutMs = 5_000;

/** Asks again for what is not there yet. */
export async function oncePublished(cli: Cli, ask: () => Promise<Response>): Promise<Response> {
  const deadlineMs = cli.now() + publicationTimeoutMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const mayCome = error instanceof RefusedError && error.code === "not_found" && cli.now() < deadlineMs;
      if (!mayCome) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/**
 * The client id and key of an agent: `agent` is its id or SPIFFE ID, and may be left out when the key file names it.
 *
 * @throws UsageError
 */
export async function agentIdentity(cli: Cli, config: Config, agent: string | undefined, keyFile: string) {
  const { clientId, privateJwk } = await readKeyToUse(cli, keyFile);
  const named = agent === undefined ? clientId : clientIdOf(config, agent);
  if (named === undefined) throw new UsageError(`say with --agent whose key ${keyFile} is`);
  if (clientId !== undefined && clientId !== named)
    throw new UsageError(`${keyFile} is the key of ${clientId}`);
  return { clientId: named, key: privateJwk };
}

/** A client of the server, signed in as an agent by its key file. @throws as agentIdentity and clientOf do */
export async function agentClient(cli: Cli, agent: string | undefined, keyFile: string): Promise<Client> {
  const config = cli.readConfig();
  const { clientId, key } = await agentIdentity(cli, config, agent, keyFile);
  return clientOf(cli, config, clientId, key);
}

function clientIdOf(config: Config, agent: string): string {
  const spiffeId = parseSpiffeId(agent);
  if (spiffeId !== undefined) return spiffeId;
  const id = parseId("agent", agent);
  if (id === undefined || defaultOrganization === undefined) {
    throw new UsageError(`${agent} is no agent: give an id that begins with agt_ or a SPIFFE ID`);
  }
  return spiffeIdOf(config.trustDomain, { kind: "agent", organization: defaultOrganization, id });
}
