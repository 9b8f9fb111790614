import { createUser } from "@countersign/sdk/contract/users";
import type { Command } from "commander";
import { z } from "zod";
import type { Cli } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { defineCommand, optional, required, someText } from "./define.ts";

/** `countersign user …` */
export function addUserCommands(program: Command, cli: Cli): void {
  const user = program.command("user").description("people, who own agents and resources");
  defineCommand(user, cli, {
    usage: "create",
    description: "register a person",
    example: "--name Alice --email alice@example.com",
    options: [
      required("--name <name>", "what to call them"),
      optional("--email <address>", "where to reach them"),
    ],
    given: z.object({ name: someText, email: someText.optional() }),
    run: async ({ name, email }) => {
      const client = await operatorClient(cli);
      const made = await client.perform(createUser, { body: { name, email } });
      return { json: { id: made.id, ledger: made.ledger }, text: `${made.name} is user ${made.id}` };
    },
  });
}
