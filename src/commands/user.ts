import {
  createUser,
  createUserRequestSchema,
  getUser,
  listUsers,
  offboardUser,
} from "@countersign/sdk/contract/users";
import type { Command } from "commander";
import { z } from "zod";
import { type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional, required, someText } from "./define.ts";
import { pageAnswer, pageGiven, pageOptions } from "./list.ts";
import { addRevocation } from "./revoke.ts";

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
    given: z.object({ name: someText, email: createUserRequestSchema.shape.email }),
    run: async ({ name, email }) => {
      const client = await operatorClient(cli);
      const made = await client.perform(createUser, { body: { name, email } });
      const { id, ledger } = made;
      return { json: { id, ledger }, text: `${made.name} is user ${id}`, recorded: ledger };
    },
  });
  addRegistry(user, cli);
  addRevocation(user, cli, {
    usage: "offboard <id>",
    description:
      "end a person for good, and at once all that rests on them: their agents, and what they granted",
    kind: "user",
    question: "Offboard user",
    operation: offboardUser,
  });
}

function addRegistry(user: Command, cli: Cli): void {
  defineCommand(user, cli, {
    usage: "list",
    description: "which people there are",
    example: "--limit 200",
    options: pageOptions(),
    given: z.object(pageGiven(listUsers)),
    run: async ({ limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(listUsers, { query: { limit, cursor } });
      return pageAnswer(page, ({ id, status, name, email }) => [id, status, name, email]);
    },
  });
  defineCommand(user, cli, {
    usage: "show <id>",
    description: "show one person",
    example: "usr_01k9…",
    given: z.object({ id: anId("usr_") }),
    run: async ({ id }) => {
      const client = await operatorClient(cli);
      const shown = await client.perform(getUser, { params: { id } });
      return {
        json: shown,
        text: table([
          ["user", shown.id],
          ["name", shown.name],
          ["email", shown.email ?? "none"],
          ["status", shown.status],
          ["created", shown.created_at],
        ]),
      };
    },
  });
}
