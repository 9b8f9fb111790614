import type { Client } from "@countersign/sdk/client/client";
import { RefusedError } from "@countersign/sdk/client/client-error";
import { anAudience } from "@countersign/sdk/contract/fields";
import {
  createResource,
  type createResourceRequestSchema,
  getResource,
  listResources,
} from "@countersign/sdk/contract/resources";
import type { Command } from "commander";
import { z } from "zod";
import { type Cli, table, UsageError } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional, repeated, required, someScopes, someText } from "./define.ts";
import { handOver } from "./hand-over.ts";
import { expectNewFile, keyForNewPrincipal } from "./key-file.ts";
import { pageAnswer, pageGiven, pageOptions } from "./list.ts";

/** `countersign resource …` */
export function addResourceCommands(program: Command, cli: Cli): void {
  const resource = program.command("resource").description("resource servers, which tokens are made for");
  addRegistry(resource, cli);
  defineCommand(resource, cli, {
    usage: "create",
    description: "register a resource server; with its key it can introspect tokens",
    example: "--audience https://mail.example.com --scope mail.read --scope mail.send --owner usr_01k9…",
    options: [
      required("--audience <uri>", "the URI that tokens for it name, such as https://mail.example.com"),
      repeated("--scope <scope>", "a scope it knows, at least one").makeOptionMandatory(),
      optional("--owner <user>", "id of the person who may grant on it"),
      optional("--open", "let every person of the organization grant on it"),
      optional("--jwk <file>", "use the key in this file instead of making one"),
      optional("--out <file>", "write the private key to this new file instead of printing it"),
    ],
    given: z.object({
      audience: anAudience,
      scope: someScopes,
      owner: anId("usr_").optional(),
      open: z.boolean().default(false),
      jwk: someText.optional(),
      out: someText.optional(),
    }),
    run: async ({ audience, scope, owner, open, jwk, out }) => {
      // Nobody could grant on it.
      if (owner === undefined && !open) {
        throw new UsageError("give --owner USER, who may grant on it, or --open, which lets everybody");
      }
      if (out !== undefined) expectNewFile(out);
      const client = await operatorClient(cli);
      const { publicJwk, privateJwk } = await keyForNewPrincipal(cli, jwk);
      const body = { audience, scope, open, jwk: publicJwk, owner };
      const taken = `${audience} is${jwk === undefined ? "" : ", or the key is,"} another resource's already`;
      const made = await register(client, body, taken);
      const ids = { id: made.id, clientId: made.client_id };
      const key = await handOver(ids, privateJwk, out);
      return {
        json: { ...ids, ...key.json, ledger: made.ledger },
        text: table([...rowsOf(made), ...key.rows]),
        recorded: made.ledger,
      };
    },
  });
}

function rowsOf({ id, client_id, audience, scope, owner, open }: ResourceWire): [string, string][] {
  return [
    ["resource", id],
    ["client id", client_id],
    ["audience", audience],
    ["scope", scope.join(" ")],
    ["owner", owner ?? "none"],
    ["open to all", open ? "yes" : "no"],
  ];
}
type ResourceWire = Omit<z.infer<typeof getResource.answer>, "organization" | "status" | "created_at">;

async function register(client: Client, body: z.input<typeof createResourceRequestSchema>, taken: string) {
  try {
    return await client.perform(createResource, { body });
  } catch (error) {
    if (!(error instanceof RefusedError && error.code === "conflict")) throw error;
    throw new RefusedError(error.status, error.code, taken);
  }
}

function addRegistry(resource: Command, cli: Cli): void {
  defineCommand(resource, cli, {
    usage: "list",
    description: "which resource servers there are",
    example: "--limit 200",
    options: pageOptions(),
    given: z.object(pageGiven(listResources)),
    run: async ({ limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(listResources, { query: { limit, cursor } });
      return pageAnswer(page, ({ id, status, audience, scope }) => [id, status, audience, scope.join(" ")]);
    },
  });
  defineCommand(resource, cli, {
    usage: "show <id>",
    description: "show one resource server",
    example: "res_01k9…",
    given: z.object({ id: anId("res_") }),
    run: async ({ id }) => {
      const client = await operatorClient(cli);
      const shown = await client.perform(getResource, { params: { id } });
      return {
        json: shown,
        text: table([...rowsOf(shown), ["status", shown.status], ["created", shown.created_at]]),
      };
    },
  });
}
