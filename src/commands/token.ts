import type { Client, TokenResponse } from "@countersign/sdk/client/client";
import { RefusedError } from "@countersign/sdk/client/client-error";
import { signClientAssertion } from "@countersign/sdk/client/sign";
import { anAudience } from "@countersign/sdk/contract/fields";
import type { Command } from "commander";
import { decodeJwt } from "jose";
import { z } from "zod";
import type { Config } from "../config.ts";
import { type Answer, type Cli, table, UsageError } from "./cli.ts";
import { agentIdentity, clientOf, issuerOf, workloadClient } from "./connection.ts";
import { anId, defineCommand, optional, repeated, someScopes, someText } from "./define.ts";
import { detailRows, detailsOption, readDetails } from "./details-option.ts";

const givenSchema = z.object({
  agent: someText.optional(),
  key: someText.optional(),
  socket: someText.transform((address) => address.replace(/^unix:(?:\/\/(?=\/))?/, "")).optional(),
  delegation: anId("dlg_").optional(),
  resource: anAudience.optional(),
  scope: someScopes.default([]),
  details: someText.optional(),
  assertion: z.boolean().default(false),
});

/** `countersign token`: a token for an agent, or the client assertion with which curl can ask for one. */
export function addTokenCommand(program: Command, cli: Cli): void {
  defineCommand(program, cli, {
    usage: "token",
    description: "get an access token as an agent, bound to the agent's key (DPoP)",
    example:
      "--agent agt_01k9… --key agent.json --delegation dlg_01k9… --resource https://mail.example.com --scope mail.read",
    options: [
      optional("--agent <agent>", "id of the agent, when the key file does not say"),
      optional("--key <file>", "the agent's key file"),
      optional(
        "--socket <path>",
        "in place of a key: the Workload API, which knows which agent this process is",
      ),
      optional(
        "--delegation <delegation>",
        "the delegation to redeem; without it, a token in the agent's own right",
      ),
      optional("--resource <uri>", "audience of the resource; without it, the delegation's"),
      repeated("--scope <scope>", "what to ask for; without it, all that the delegation allows"),
      detailsOption("what of the delegation's tool calls to ask for"),
      optional("--assertion", "print a client assertion for curl instead: good once, for a minute"),
    ],
    given: givenSchema,
    run: async ({ delegation, resource, scope, details, assertion, ...who }) => {
      if (assertion) return assertionOf(cli, who);
      const ask = await questionOf({ delegation, resource, scope: scope.join(" "), details });
      const client = await clientFor(cli, who);
      const response = await ask(client).catch((error: unknown) => {
        throw delegation === undefined ? hinting(error) : error;
      });
      const told = toldBy(response.access_token);
      return {
        json: { ...response, token: told },
        text: table([
          ["access token", response.access_token],
          ["jti", told.jti ?? "not told"],
          ["resource", told.resource ?? "not told"],
          ["subject", told.subject ?? "not told"],
          ["type", response.token_type],
          ["expires in", `${response.expires_in} s`],
          ["scope", response.scope ?? ""],
          ...detailRows(response.authorization_details),
        ]),
        recorded: response.ledger,
      };
    },
  });
}

type Who = Pick<z.output<typeof givenSchema>, "agent" | "key" | "socket">;

/** As whom the token is asked for. @throws UsageError, CommandError, RefusedError, UnreachableError */
async function clientFor(cli: Cli, who: Who): Promise<Client> {
  const config = cli.readConfig();
  if (who.socket === undefined) {
    const { clientId, key } = await keyedIdentity(cli, config, who);
    return clientOf(cli, config, clientId, key);
  }
  if (who.key !== undefined || who.agent !== undefined)
    throw new UsageError("--socket says by itself which agent asks: leave out --key and --agent");
  return workloadClient(cli, config, who.socket);
}

async function assertionOf(cli: Cli, who: Who): Promise<Answer> {
  const config = cli.readConfig();
  const identity = await keyedIdentity(cli, config, who);
  const assertion = await signClientAssertion(cli, { ...identity, issuer: await issuerOf(cli, config) });
  return { json: { clientId: identity.clientId, assertion }, text: assertion };
}

function keyedIdentity(cli: Cli, config: Config, { agent, key }: Who) {
  if (key === undefined) throw new UsageError("give --key FILE, the agent's key, or --socket PATH");
  return agentIdentity(cli, config, agent, key);
}

/** What the token says of itself: by its jti `revoke token` ends it. */
function toldBy(token: string) {
  const { jti, aud, sub } = decodeJwt(token);
  return { jti, resource: typeof aud === "string" ? aud : aud?.join(" "), subject: sub };
}

/** An agent that names no delegation asks in its own right, and most resources give it nothing then. */
function hinting(error: unknown): unknown {
  if (!(error instanceof RefusedError && error.code === "invalid_target")) return error;
  const message = `${error.message}; to redeem a delegation, name it with --delegation`;
  return new RefusedError(error.status, error.code, message);
}

interface Asked {
  readonly delegation: string | undefined;
  readonly resource: string | undefined;
  readonly scope: string;
  readonly details: string | undefined;
}

async function questionOf(asked: Asked): Promise<(client: Client) => Promise<TokenResponse>> {
  const { delegation, resource, scope, details } = asked;
  if (delegation !== undefined) {
    const target = {
      delegation,
      scope,
      ...(resource !== undefined && { resource }),
      ...(details !== undefined && { authorizationDetails: await readDetails(details) }),
    };
    return (client) => client.redeemDelegation(target);
  }
  if (details !== undefined)
    throw new UsageError("--details goes with --delegation: what an agent has in its own right has none");
  if (resource === undefined) throw new UsageError("--resource says which resource the token is for");
  return (client) => client.requestToken({ resource, scope });
}
