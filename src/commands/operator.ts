import { createOperator, getOperator, listOperators } from "@countersign/sdk/contract/operators";
import type { Command } from "commander";
import { z } from "zod";
import { type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional, required, someText } from "./define.ts";
import { handOver } from "./hand-over.ts";
import { expectNewFile, keyForNewPrincipal } from "./key-file.ts";
import { pageAnswer, pageGiven, pageOptions } from "./list.ts";

/** `countersign operator …` */
export function addOperatorCommands(program: Command, cli: Cli): void {
  const operator = program
    .command("operator")
    .description("who runs the server, each with a key of their own");
  addCreate(operator, cli);
  defineCommand(operator, cli, {
    usage: "list",
    description: "which operators there are",
    example: "--limit 200",
    options: pageOptions(),
    given: z.object(pageGiven(listOperators)),
    run: async ({ limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(listOperators, { query: { limit, cursor } });
      return pageAnswer(page, ({ id, status, name }) => [id, status, name]);
    },
  });
  defineCommand(operator, cli, {
    usage: "show <id>",
    description: "show one operator",
    example: "opr_01k9…",
    given: z.object({ id: anId("opr_") }),
    run: async ({ id }) => {
      const client = await operatorClient(cli);
      const shown = await client.perform(getOperator, { params: { id } });
      return {
        json: shown,
        text: table([
          ["operator", shown.id],
          ["client id", shown.client_id],
          ["name", shown.name],
          ["status", shown.status],
          ["created", shown.created_at],
        ]),
      };
    },
  });
}

function addCreate(operator: Command, cli: Cli): void {
  defineCommand(operator, cli, {
    usage: "create",
    description:
      "register an operator; the key pair is made here, and COUNTERSIGN_OPERATOR_KEY names its file to the commands",
    example: "--name deploy --out deploy.json",
    options: [
      required("--name <name>", "what to call them"),
      optional("--jwk <file>", "use the key in this file instead of making one"),
      optional("--out <file>", "write the private key to this new file instead of printing it"),
    ],
    given: z.object({ name: someText, jwk: someText.optional(), out: someText.optional() }),
    run: async ({ name, jwk, out }) => {
      if (out !== undefined) expectNewFile(out);
      const client = await operatorClient(cli);
      const { publicJwk, privateJwk } = await keyForNewPrincipal(cli, jwk);
      const made = await client.perform(createOperator, { body: { name, jwk: publicJwk } });
      const ids = { id: made.id, clientId: made.client_id };
      const key = await handOver(ids, privateJwk, out);
      return {
        json: { ...ids, ...key.json, ledger: made.ledger },
        text: table([["operator", made.id], ["client id", made.client_id], ...key.rows]),
        recorded: made.ledger,
      };
    },
  });
}
