import type { Client } from "@countersign/sdk/client/client";
import { RefusedError } from "@countersign/sdk/client/client-error";
import { getAgent } from "@countersign/sdk/contract/agents";
import {
  createEntry,
  deleteEntry,
  type entrySchema,
  getEntry,
  listEntries,
} from "@countersign/sdk/contract/entries";
import { getFederation } from "@countersign/sdk/contract/federation";
import type { Command } from "commander";
import { z } from "zod";
import { type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional, repeated, required, someText } from "./define.ts";
import { durationSchema } from "./duration.ts";
import { allItems, pageAnswer, pageGiven, pageOptions } from "./list.ts";

type Entry = z.output<typeof entrySchema>;

const someTexts = z.array(someText);

/** `countersign entry …` */
export function addEntryCommands(program: Command, cli: Cli): void {
  const entry = program
    .command("entry")
    .description("registration entries: which workloads get an agent's SVIDs");
  addCreate(entry, cli);
  addList(entry, cli);
  defineCommand(entry, cli, {
    usage: "show <id>",
    description: "show one entry",
    example: "ent_01k9…",
    given: z.object({ id: anId("ent_") }),
    run: async ({ id }) => {
      const client = await operatorClient(cli);
      const shown = await client.perform(getEntry, { params: { id } });
      return { json: shown, text: table(rowsOf(shown)) };
    },
  });
  defineCommand(entry, cli, {
    usage: "delete <id>",
    description: "end an entry: no SVID is issued on it any more",
    example: "ent_01k9…",
    given: z.object({ id: anId("ent_") }),
    run: async ({ id }) => {
      const client = await operatorClient(cli);
      const { ledger, ...ended } = await client.perform(deleteEntry, { params: { id } });
      const text = `entry ${id} is deleted: SVIDs that were issued on it end within the hour`;
      return { json: { ...ended, ledger }, text, recorded: ledger };
    },
  });
}

function addCreate(entry: Command, cli: Cli): void {
  defineCommand(entry, cli, {
    usage: "create",
    description: "say which workloads are an agent: those of which all selectors are true get its SVIDs",
    example: "--agent agt_01k9… --selector unix:uid:1000 --selector unix:path:/usr/bin/agent",
    options: [
      required("--agent <agent>", "id of the agent"),
      repeated(
        "--selector <selector>",
        "what must be true of the workload: unix:uid:1000, systemd:unit:a.service",
      ),
      optional("--parent <node>", "the node that attests and serves; without it, the server itself"),
      optional("--x509-ttl <duration>", "how long an X.509-SVID lives, 1m to 1h").default("1h"),
      optional("--jwt-ttl <duration>", "how long a JWT-SVID lives, 30s to 5m").default("5m"),
      repeated("--dns <name>", "a DNS name that its certificate bears"),
      optional("--hint <text>", "tells a workload that has several identities which one this is"),
      repeated("--federates-with <domain>", "a trust domain whose SVIDs the workload verifies"),
    ],
    given: z.object({
      agent: anId("agt_"),
      selector: someTexts.min(1, "is missing: name at least one"),
      parent: anId("nod_").optional(),
      x509Ttl: durationSchema,
      jwtTtl: durationSchema,
      dns: someTexts.optional(),
      hint: someText.optional(),
      federatesWith: someTexts.optional(),
    }),
    run: async ({ agent, selector, parent, x509Ttl, jwtTtl, dns, hint, federatesWith }) => {
      const client = await operatorClient(cli);
      const body = {
        agent,
        selectors: selector,
        parent,
        x509_ttl_seconds: x509Ttl,
        jwt_ttl_seconds: jwtTtl,
        dns_names: dns,
        hint,
        federates_with: federatesWith,
      };
      const { ledger, ...made } = await client
        .perform(createEntry, { body })
        .catch((error: unknown) => namingTheSame(client, error, { agent, parent, selector }));
      await noteWhatHinders(cli, client, made);
      if (selector.length === 1 && /^unix:[ug]id:/.test(selector[0] ?? ""))
        cli.note(`note: every process with ${selector[0]} is this agent; add a selector to mean one of them`);
      return { json: { ...made, ledger }, text: table(rowsOf(made)), recorded: ledger };
    },
  });
}

/** A conflict, with the entry that stands already. */
async function namingTheSame(
  client: Client,
  error: unknown,
  asked: {
    readonly agent: string;
    readonly parent: string | undefined;
    readonly selector: readonly string[];
  },
): Promise<never> {
  if (!(error instanceof RefusedError && error.code === "conflict")) throw error;
  const { agent, parent } = asked;
  const standing = await allItems((query) =>
    client.perform(listEntries, { query: { ...query, agent, parent } }),
  );
  const spelled = [...new Set(asked.selector)].sort().join("\n");
  const same = standing.find((one) => one.parent === parent && one.selectors.join("\n") === spelled);
  throw same === undefined
    ? error
    : new RefusedError(error.status, error.code, `${error.message}: it is ${same.id}`);
}

/** What is right, and yet gives nobody anything for now. */
async function noteWhatHinders(cli: Cli, client: Client, made: Entry): Promise<void> {
  const { status } = await client.perform(getAgent, { params: { id: made.agent } });
  if (status !== "active") cli.note(`note: the agent is ${status}: it gets no SVID until it is resumed`);
  for (const domain of made.federates_with) {
    const known = await client
      .perform(getFederation, { params: { trust_domain: domain } })
      .catch((error: unknown) => {
        if (error instanceof RefusedError && error.code === "not_found") return undefined;
        throw error;
      });
    if (known === undefined)
      cli.note(`note: nobody federates with ${domain} yet: see \`countersign federation add\``);
  }
}

function addList(entry: Command, cli: Cli): void {
  defineCommand(entry, cli, {
    usage: "list",
    description: "which entries there are",
    example: "--agent agt_01k9…",
    options: [
      ...pageOptions(),
      optional("--agent <agent>", "only those of this agent"),
      optional("--parent <node>", "only those of this node"),
      optional("--selector <selector>", "only those with this selector"),
    ],
    given: z.object({
      ...pageGiven(listEntries),
      agent: anId("agt_").optional(),
      parent: anId("nod_").optional(),
      selector: someText.optional(),
    }),
    run: async (query) => {
      const { limit, cursor, agent, parent, selector } = query;
      const client = await operatorClient(cli);
      const page = await client.perform(listEntries, { query: { limit, cursor, agent, parent, selector } });
      return pageAnswer(page, (one) => [one.id, one.agent, one.parent ?? "server", one.selectors.join(" ")]);
    },
  });
}

function rowsOf(entry: Entry): [string, string][] {
  const optionally: [string, string | undefined][] = [
    ["DNS names", entry.dns_names.join(" ")],
    ["hint", entry.hint],
    ["federates with", entry.federates_with.join(" ")],
  ];
  return [
    ["entry", entry.id],
    ["SPIFFE ID", entry.spiffe_id],
    ["selectors", entry.selectors.join(" ")],
    ["parent", entry.parent ?? "the server"],
    ["lifetimes", `X.509 ${entry.x509_ttl_seconds} s, JWT ${entry.jwt_ttl_seconds} s`],
    ["status", entry.status],
    ...optionally.flatMap(([name, value]): [string, string][] => (value ? [[name, value]] : [])),
  ];
}
