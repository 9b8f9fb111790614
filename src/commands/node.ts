import {
  createJoinToken,
  evictNode,
  getNode,
  listNodes,
  type nodeSchema,
  readmitNode,
} from "@countersign/sdk/contract/nodes";
import type { Command } from "commander";
import { z } from "zod";
import { type Cli, table } from "./cli.ts";
import { getPublic, operatorClient } from "./connection.ts";
import { anId, defineCommand, optional, someText } from "./define.ts";
import { durationSchema } from "./duration.ts";
import { pageAnswer, pageGiven, pageOptions } from "./list.ts";
import { addNodeRunCommand } from "./node-run.ts";

type Node = z.output<typeof nodeSchema>;

/** `countersign node …` */
export function addNodeCommands(program: Command, cli: Cli): void {
  const node = program
    .command("node")
    .description("nodes: machines that serve the Workload API to what runs on them");
  addJoinToken(node, cli);
  addNodeRunCommand(node, cli);
  defineCommand(node, cli, {
    usage: "list",
    description: "which nodes there are",
    example: "--limit 20",
    options: pageOptions(),
    given: z.object(pageGiven(listNodes)),
    run: async ({ limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(listNodes, { query: { limit, cursor } });
      return pageAnswer(page, (one) => [one.id, one.name, one.attestation, one.status, one.svid?.expires_at]);
    },
  });
  defineCommand(node, cli, {
    usage: "show <id>",
    description: "show one node",
    example: "nod_01k9…",
    given: z.object({ id: anId("nod_") }),
    run: async ({ id }) => {
      const client = await operatorClient(cli);
      const shown = await client.perform(getNode, { params: { id } });
      return { json: shown, text: table(rowsOf(shown)) };
    },
  });
  defineCommand(node, cli, {
    usage: "evict <id>",
    description: "end a node: it gets nothing any more, and its machine stays out until it is let in again",
    example: "nod_01k9…",
    given: z.object({ id: anId("nod_") }),
    run: async ({ id }) => {
      const client = await operatorClient(cli);
      const { ledger, ...ended } = await client.perform(evictNode, { params: { id } });
      const text = `node ${id} is evicted: SVIDs that its workloads have end within the hour`;
      return { json: { ...ended, ledger }, text, recorded: ledger };
    },
  });
  addReadmit(node, cli);
}

function addReadmit(node: Command, cli: Cli): void {
  defineCommand(node, cli, {
    usage: "readmit <id>",
    description: "let the machine of an evicted node join again, as this node, by fresh evidence",
    example: "nod_01k9…",
    given: z.object({ id: anId("nod_") }),
    run: async ({ id }) => {
      const client = await operatorClient(cli);
      const { ledger, ...readmitted } = await client.perform(readmitNode, { params: { id } });
      const again = readmitted.attestation === "join_token" ? `countersign node join-token --node ${id}` : "";
      const text = `node ${id} may join again by fresh evidence${again && `: ${again}`}`;
      return { json: { ...readmitted, ledger }, text, recorded: ledger };
    },
  });
}

function addJoinToken(node: Command, cli: Cli): void {
  defineCommand(node, cli, {
    usage: "join-token",
    description: "make a token with which one machine joins as a node, once",
    example: "--name build-7 --expires 10m",
    options: [
      optional("--name <name>", "what the node will be called"),
      optional("--node <id>", "the node that the machine is again; without it, it becomes another"),
      optional("--expires <duration>", "how long it may be used, 10s to 24h").default("10m"),
    ],
    given: z.object({ name: someText.optional(), node: anId("nod_").optional(), expires: durationSchema }),
    run: async ({ name, node: id, expires }) => {
      const client = await operatorClient(cli);
      const made = await client.perform(createJoinToken, { body: { name, node: id, expires_in: expires } });
      const { ledger, ...token } = made;
      const server = await nodePortOf(cli);
      if (server === "none")
        cli.note(
          "note: the server has no COUNTERSIGN_MTLS_PORT: nodes join through a proxy that passes Client-Cert on, or not at all",
        );
      const origin = server?.startsWith("https:") ? server : "https://…";
      const text = table([
        ["join token", token.token],
        ["expires", token.expires_at],
        ["first", `curl -s ${cli.readConfig().server}/spiffe/bundle > bundle.json`],
        [
          "use it",
          `countersign node run --server ${origin} --join-token ${token.token} --trust-bundle bundle.json`,
        ],
      ]);
      return { json: made, text, recorded: ledger };
    },
  });
}

const metadataSchema = z.looseObject({
  mtls_endpoint_aliases: z.looseObject({ token_endpoint: z.url() }).optional(),
});

/** Origin of the port that nodes ask at, by what the server says of itself; undefined where that can't be read. */
async function nodePortOf(cli: Cli): Promise<string | "none" | undefined> {
  const answer: unknown = await getPublic(cli, "/.well-known/openid-configuration")
    .then((response) => response.json())
    // The token is made, and to be told all the same.
    .catch(() => undefined);
  const metadata = metadataSchema.safeParse(answer).data;
  if (metadata === undefined) return undefined;
  const { mtls_endpoint_aliases: aliases } = metadata;
  return aliases === undefined ? "none" : new URL(aliases.token_endpoint).origin;
}

function rowsOf(node: Node): [string, string][] {
  return [
    ["node", node.id],
    ["name", node.name],
    ["SPIFFE ID", node.spiffe_id],
    ["attested", `${node.attestation} ${node.subject}, ${node.attested_at}`],
    ["selectors", node.selectors.join(" ")],
    ["status", node.status],
    ["SVID", node.svid === undefined ? "none" : `${node.svid.serial} until ${node.svid.expires_at}`],
    ...(node.spent_svid_shown_at === undefined ? [] : [copied(node.id, node.spent_svid_shown_at)]),
  ];
}

function copied(id: string, at: string): [string, string] {
  const found = `an SVID that another had followed was shown at ${at}: somebody has a copy, or had one`;
  return [
    "WARNING",
    `${found}; give it another identity with \`node join-token --node ${id}\`, or \`node evict ${id}\``,
  ];
}
