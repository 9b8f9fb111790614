import { type Client, createClient, send } from "@countersign/sdk/client/client";
import type { PrivateJwk } from "@countersign/sdk/client/key-pair";
import { parseId, parseOrganizationId } from "@countersign/sdk/model/ids";
import { parseSpiffeId, spiffeIdOf } from "@countersign/sdk/model/spiffe-id";
import type { Config } from "../config.ts";
import { operatorKeyPath } from "../journeys/installation/operator-key-file.ts";
import { type Cli, CommandError, UsageError } from "./cli.ts";
import { readKeyToUse } from "./key-file.ts";

const defaultOrganization = parseOrganizationId("default");

/** A client of the server, signed in as the operator whose key the settings or the data directory name. */
export async function operatorClient(cli: Cli, config: Config = cli.readConfig()): Promise<Client> {
  const path = config.operatorKeyFile ?? operatorKeyPath(config.dataDir);
  const key = await readKeyToUse(cli, path).catch((error: unknown) => {
    throw new CommandError(
      "no_operator_key",
      `no operator's key at ${path}: start a server with \`countersign serve\`, set COUNTERSIGN_DATA_DIR to its data directory, or COUNTERSIGN_OPERATOR_KEY to a key file`,
      error,
    );
  });
  if (key.clientId === undefined) throw new UsageError(`${path} does not say whose key it is (clientId)`);
  return clientOf(cli, config, key.clientId, key.privateJwk);
}

/** A client of the server, signed in as an agent. */
export function clientOf(cli: Cli, config: Config, clientId: string, key: PrivateJwk): Client {
  return createClient(cli, { issuer: config.server, clientId, key });
}

/** A request that anybody may make. */
export async function getPublic(cli: Cli, path: string): Promise<Response> {
  const { server } = cli.readConfig();
  return send(cli, server, `${server}${path}`, {});
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

function clientIdOf(config: Config, agent: string): string {
  const spiffeId = parseSpiffeId(agent);
  if (spiffeId !== undefined) return spiffeId;
  const id = parseId("agent", agent);
  if (id === undefined || defaultOrganization === undefined) {
    throw new UsageError(`${agent} is no agent: give an id that begins with agt_ or a SPIFFE ID`);
  }
  return spiffeIdOf(config.trustDomain, { kind: "agent", organization: defaultOrganization, id });
}
