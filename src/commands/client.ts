import { type ClientWire, getClient, setClient } from "@countersign/sdk/contract/clients";
import type { Command } from "commander";
import { z } from "zod";
import { type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { defineCommand, optional, repeated, someText } from "./define.ts";

const methods = ["private_key_jwt", "self_signed_tls_client_auth", "client_secret_basic"] as const;
const id = someText.regex(/^(agt|res)_[a-z0-9]+$/, "must be the id of an agent or a resource");

/** `countersign client …` */
export function addClientCommands(program: Command, cli: Cli): void {
  const client = program.command("client").description("how agents and resources authenticate and ask");
  addShow(client, cli);
  addSet(client, cli);
}

function addShow(client: Command, cli: Cli): void {
  defineCommand(client, cli, {
    usage: "show <id>",
    description: "show what is set for an agent or a resource",
    example: "agt_01k9…",
    given: z.object({ id }),
    run: async (params) => {
      const operator = await operatorClient(cli);
      const found = await operator.perform(getClient, { params: { id: params.id } });
      return { json: found, text: table(rowsOf(found)) };
    },
  });
}

function addSet(client: Command, cli: Cli): void {
  defineCommand(client, cli, {
    usage: "set <id>",
    description:
      "set how an agent or a resource authenticates and asks, all of it at once: what is left out goes back to its default",
    example: "agt_01k9… --auth-method self_signed_tls_client_auth",
    options: [
      repeated("--redirect-uri <uri>", "where authorization responses may go"),
      optional("--auth-method <method>", `${methods.join(", ")}; the last with --compat only`).default(
        methods[0],
        methods[0],
      ),
      optional("--dpop-nonce-required", "refuse its DPoP proofs without a nonce"),
      optional("--compat", "let it do what only older clients need, such as authenticate by a secret"),
    ],
    given: z.object({
      id,
      redirectUri: z.array(someText).default([]),
      authMethod: z.enum(methods).default("private_key_jwt"),
      dpopNonceRequired: z.boolean().default(false),
      compat: z.boolean().default(false),
    }),
    run: async ({ id, redirectUri, authMethod, dpopNonceRequired, compat }) => {
      const operator = await operatorClient(cli);
      const body = {
        redirect_uris: redirectUri,
        token_endpoint_auth_method: authMethod,
        dpop_nonce_required: dpopNonceRequired,
        compat,
      };
      const changed = await operator.perform(setClient, { params: { id }, body });
      const { client_secret: secret } = changed;
      const shown: [string, string][] =
        secret === undefined ? [] : [["client secret", `${secret}   (shown this once)`]];
      return { json: changed, text: table([...rowsOf(changed), ...shown]), recorded: changed.ledger };
    },
  });
}

function rowsOf(client: ClientWire): [string, string][] {
  return [
    ["client", client.id],
    ["client id", client.client_id],
    ["authenticates by", client.token_endpoint_auth_method],
    ["redirect uris", client.redirect_uris.join(" ") || "none"],
    ["dpop nonce", client.dpop_nonce_required ? "required" : "not required"],
    ["compat", client.compat ? "on" : "off"],
  ];
}
