import type { Client } from "@countersign/sdk/client/client";
import {
  listSigningKeys,
  rotateSigningKeys,
  type signingKeySchema,
  taintAuthority,
  withdrawAuthority,
} from "@countersign/sdk/contract/signing-keys";
import type { Command } from "commander";
import { z } from "zod";
import { type Answer, type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { defineCommand, optional, someText } from "./define.ts";
import { allItems } from "./list.ts";

const purposes = ["token", "log", "jwt_authority", "x509_authority"] as const;
const changes = [
  [
    "taint",
    taintAuthority,
    "mark an authority as compromised: its successor signs at once, and what it signed is renewed",
  ],
  [
    "withdraw",
    withdrawAuthority,
    "take a tainted authority out of the trust bundle: nothing that it signed verifies any more",
  ],
] as const;

type SigningKey = z.output<typeof signingKeySchema>;

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
      return answerOf(await listKeys(client));
    },
  });
  defineCommand(keys, cli, {
    usage: "rotate",
    description: "sign with the next keys from now on; the old ones stay good for what they signed",
    example: "--purpose token",
    options: [
      optional(
        "--purpose <purpose>",
        `${purposes.join(", ")}; without it, every key whose successor may sign`,
      ),
    ],
    given: z.object({ purpose: z.enum(purposes).optional() }),
    run: async ({ purpose }) => {
      const client = await operatorClient(cli);
      return answerOf((await client.perform(rotateSigningKeys, { body: { purpose } })).items);
    },
  });
  for (const [verb, change, description] of changes) {
    defineCommand(keys, cli, {
      usage: `${verb} <id>`,
      description,
      example: "ZqSd3…",
      given: z.object({ id: someText }),
      run: async ({ id }) => {
        const client = await operatorClient(cli);
        return answerOf((await client.perform(change, { params: { id } })).items);
      },
    });
  }
}

/** Every key there ever was that signed this log's checkpoints, as signed-note verifiers take them. */
export async function verifierKeysOf(client: Client, log: string): Promise<string[]> {
  const keys = await listKeys(client);
  return keys.flatMap((key) => (key.log === log && key.vkey !== undefined ? [key.vkey] : []));
}

function listKeys(client: Client): Promise<SigningKey[]> {
  return allItems((query) => client.perform(listSigningKeys, { query }));
}

function answerOf(keys: readonly SigningKey[]): Answer {
  const rows = keys.map(({ id, purpose, log, algorithm, status }): [string, string] => [
    id,
    [purpose, log, algorithm, status].filter((word) => word !== undefined).join(" "),
  ]);
  return { json: keys, text: table(rows) };
}
