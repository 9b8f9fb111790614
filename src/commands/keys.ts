import { listSigningKeys, rotateSigningKeys } from "@countersign/sdk/contract/signing-keys";
import type { Command } from "commander";
import { z } from "zod";
import { type Answer, type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { defineCommand, optional } from "./define.ts";

/** `countersign keys …` */
export function addKeysCommands(program: Command, cli: Cli): void {
  const keys = program.command("keys").description("the keys that sign tokens and logs");
  defineCommand(keys, cli, {
    usage: "list",
    description: "list the signing keys and their states",
    example: "",
    given: z.object({}),
    run: async () => {
      const client = await operatorClient(cli);
      return answerOf(await client.perform(listSigningKeys, {}));
    },
  });
  defineCommand(keys, cli, {
    usage: "rotate",
    description: "sign with the next keys from now on; the old ones stay good for what they signed",
    example: "--purpose token",
    options: [optional("--purpose <purpose>", "token or log; without it, both")],
    given: z.object({ purpose: z.enum(["token", "log"]).optional() }),
    run: async ({ purpose }) => {
      const client = await operatorClient(cli);
      return answerOf(await client.perform(rotateSigningKeys, { body: { purpose } }));
    },
  });
}

function answerOf({ items }: z.infer<typeof listSigningKeys.answer>): Answer {
  const rows = items.map(({ id, purpose, log, algorithm, status }): [string, string] => [
    id,
    [purpose, log, algorithm, status].filter((word) => word !== undefined).join(" "),
  ]);
  return { json: items, text: table(rows) };
}
