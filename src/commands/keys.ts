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
import { type Answer, type Cli, CommandError } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { defineCommand, optional, someText } from "./define.ts";
import { allItems, columns } from "./list.ts";

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

const ofTokens = "a token key is not tainted: rotate twice (keys rotate --purpose token)";

/** A key's id is a thumbprint, and may begin as an option does. */
const idLikeAnOption = /^-[\w-]{42}$/;

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
    run: async ({ purpose, json }) => {
      const client = await operatorClient(cli);
      const before = await listKeys(client);
      const { items } = await client.perform(rotateSigningKeys, { body: { purpose } });
      if (purpose === undefined && !json)
        cli.note("note: an X.509 authority whose successor is not published long enough yet stays as it is");
      return changedAnswer(before, items);
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
        const before = await listKeys(client);
        if (before.find((key) => key.id === id)?.purpose === "token")
          throw new CommandError("not_found", ofTokens);
        return changedAnswer(before, (await client.perform(change, { params: { id } })).items);
      },
    });
  }
}

/** The words with the ids of keys that begin as options do where they can't be taken for one: behind all options. */
export function withIdsLast(words: readonly string[]): readonly string[] {
  if (words[0] !== "keys" || words.includes("--")) return words;
  const ids = words.filter((word) => idLikeAnOption.test(word));
  return ids.length === 0 ? words : [...words.filter((word) => !ids.includes(word)), "--", ...ids];
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
  return { json: keys, text: columns(keys.map(cellsOf)) };
}

function cellsOf({ id, purpose, log, algorithm, status, ...times }: SigningKey): string[] {
  const since = times.retired_at ?? times.activated_at ?? times.created_at;
  const until = [
    times.signs_until && `signs until ${times.signs_until}`,
    times.published_until && `published until ${times.published_until}`,
    status === "next" && "published before it signs",
    status === "tainted" && times.published_until === undefined && "published until it is withdrawn",
  ];
  return [id, purpose, log ?? "", algorithm, status, `since ${since}`, until.filter(Boolean).join(", ")];
}

/** What came of a change: first the keys that it changed or made, then the others. */
function changedAnswer(before: readonly SigningKey[], after: readonly SigningKey[]): Answer {
  const stood = new Map(before.map(({ id, status }) => [id, status]));
  const changed = after.filter(({ id, status }) => stood.get(id) !== status);
  const same = after.filter((key) => !changed.includes(key));
  const lineOf = (key: SigningKey) => {
    const was = stood.get(key.id);
    return [...cellsOf(key).slice(0, 5), was === undefined ? "is new" : `was ${was}`];
  };
  const lines = [columns(changed.map(lineOf)), "the others:", columns(same.map(cellsOf))];
  return { json: after, text: changed.length === 0 ? columns(after.map(cellsOf)) : lines.join("\n") };
}
