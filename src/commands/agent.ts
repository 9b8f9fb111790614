import {
  createAgent,
  resumeAgent,
  retireAgent,
  suspendAgent,
  transferAgent,
} from "@countersign/sdk/contract/agents";
import type { Command } from "commander";
import { z } from "zod";
import { addAgentChecksum } from "./agent-checksum.ts";
import { addAgentRecord } from "./agent-record.ts";
import { addAgentRegistry } from "./agent-registry.ts";
import { askFirst, askGiven, askOptions } from "./ask-first.ts";
import { type Cli, table, UsageError } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional, required, someText } from "./define.ts";
import { durationSchema } from "./duration.ts";
import { handOver } from "./hand-over.ts";
import { expectNewFile, keyForNewPrincipal } from "./key-file.ts";

const changes = [
  ["suspend", suspendAgent, "stop an agent for now: all its tokens and delegations rest"],
  ["resume", resumeAgent, "let a suspended agent work again"],
] as const;

/** `countersign agent …` */
export function addAgentCommands(program: Command, cli: Cli): void {
  const agent = program.command("agent").description("agents, each owned by one person");
  addCreate(agent, cli);
  addAgentRegistry(agent, cli);
  addAgentRecord(agent, cli);
  addAgentChecksum(agent, cli);
  addTransfer(agent, cli);
  addRetire(agent, cli);
  for (const [verb, change, description] of changes) {
    defineCommand(agent, cli, {
      usage: `${verb} <id>`,
      description,
      example: "agt_01k9…",
      given: z.object({ id: anId("agt_") }),
      run: async ({ id }) => {
        const client = await operatorClient(cli);
        const { status, ledger, receipt } = await client.perform(change, { params: { id } });
        const json = { id, status, ledger, receipt };
        return { json, text: `agent ${id} is ${status}`, recorded: ledger };
      },
    });
  }
}

function addRetire(agent: Command, cli: Cli): void {
  defineCommand(agent, cli, {
    usage: "retire <id>",
    description: "end an agent for good, with all that it holds and gave; its id is never given to another",
    example: "agt_01k9…",
    options: askOptions(),
    given: z.object({ id: anId("agt_"), ...askGiven }),
    run: async ({ id, ...asked }) => {
      const client = await operatorClient(cli);
      const instead = await askFirst(cli, client, { kind: "agent", question: "Retire agent" }, id, asked);
      if (instead !== undefined) return instead;
      const { status, ledger, receipt } = await client.perform(retireAgent, { params: { id } });
      const json = { id, status, ledger, receipt };
      return { json, text: `agent ${id} is ${status}`, recorded: ledger };
    },
  });
}

function addTransfer(agent: Command, cli: Cli): void {
  defineCommand(agent, cli, {
    usage: "transfer <id>",
    description:
      "give an agent to another owner: what was delegated to it rests until it is consented to again",
    example: "agt_01k9… --to usr_01k9…",
    options: [required("--to <user>", "id of the person who answers for it from now on")],
    given: z.object({ id: anId("agt_"), to: anId("usr_") }),
    run: async ({ id, to }) => {
      const client = await operatorClient(cli);
      const { owner, status, ledger } = await client.perform(transferAgent, {
        params: { id },
        body: { owner: to },
      });
      const text = `agent ${id} is owned by ${owner}\nwhat was delegated to it rests: countersign delegation list --agent ${id}`;
      return { json: { id, owner, status, ledger }, text, recorded: ledger };
    },
  });
}

const noKey = { publicJwk: undefined, privateJwk: undefined };

function addCreate(agent: Command, cli: Cli): void {
  defineCommand(agent, cli, {
    usage: "create",
    description: "register an agent; its key pair is made here, the server sees the public half only",
    example: "--owner usr_01k9… --name orchestrator --kind manager --out orchestrator.json",
    options: [
      required("--owner <user>", "id of the person who answers for it"),
      required("--name <name>", "what to call it"),
      optional("--kind <kind>", "manager, worker or tool").default("worker"),
      optional("--expires <duration>", "how long it lives: 12h, 30d; without it, until it is retired"),
      optional("--jwk <file>", "use the key in this file instead of making one"),
      optional("--no-key", "it has no key: it proves who it is by attestation, as a workload with an entry"),
      optional("--out <file>", "write the private key to this new file instead of printing it"),
    ],
    given: z.object({
      key: z.boolean(),
      owner: anId("usr_"),
      name: someText,
      kind: z.enum(["manager", "worker", "tool"]),
      expires: durationSchema.optional(),
      jwk: someText.optional(),
      out: someText.optional(),
    }),
    run: async ({ owner, name, kind, expires, key: hasKey, jwk, out }) => {
      if (!hasKey && (jwk ?? out) !== undefined)
        throw new UsageError("--no-key goes with neither --jwk nor --out");
      if (out !== undefined) expectNewFile(out);
      const client = await operatorClient(cli);
      const { publicJwk, privateJwk } = hasKey ? await keyForNewPrincipal(cli, jwk) : noKey;
      const expires_at =
        expires === undefined ? undefined : new Date(cli.now() + expires * 1000).toISOString();
      const made = await client.perform(createAgent, {
        body: { owner, name, kind, expires_at, jwk: publicJwk },
      });
      const ids = { id: made.id, clientId: made.client_id, spiffeId: made.spiffe_id };
      const key = await handOver(ids, privateJwk, out);
      return {
        json: { ...ids, ...key.json, expiresAt: made.expires_at, ledger: made.ledger },
        text: table([["agent", made.id], ["client id", made.client_id], ...key.rows]),
        recorded: made.ledger,
      };
    },
  });
}
