import { createAgent, resumeAgent, retireAgent, suspendAgent } from "@countersign/sdk/contract/agents";
import type { Command } from "commander";
import { z } from "zod";
import { type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional, required, someText } from "./define.ts";
import { handOver } from "./hand-over.ts";
import { expectNewFile, keyForNewPrincipal } from "./key-file.ts";

const changes = [
  ["suspend", suspendAgent, "stop an agent for now: all its tokens and delegations rest"],
  ["resume", resumeAgent, "let a suspended agent work again"],
  ["retire", retireAgent, "end an agent for good; its id is never given to another"],
] as const;

/** `countersign agent …` */
export function addAgentCommands(program: Command, cli: Cli): void {
  const agent = program.command("agent").description("agents, each owned by one person");
  addCreate(agent, cli);
  for (const [verb, change, description] of changes) {
    defineCommand(agent, cli, {
      usage: `${verb} <id>`,
      description,
      example: "agt_01k9…",
      given: z.object({ id: anId("agt_") }),
      run: async ({ id }) => {
        const client = await operatorClient(cli);
        const { status, ledger } = await client.perform(change, { params: { id } });
        return { json: { id, status, ledger }, text: `agent ${id} is ${status}` };
      },
    });
  }
}

function addCreate(agent: Command, cli: Cli): void {
  defineCommand(agent, cli, {
    usage: "create",
    description: "register an agent; its key pair is made here, the server sees the public half only",
    example: "--owner usr_01k9… --name orchestrator --kind manager --out orchestrator.json",
    options: [
      required("--owner <user>", "id of the person who answers for it"),
      required("--name <name>", "what to call it"),
      optional("--kind <kind>", "manager, worker or tool").default("worker"),
      optional("--jwk <file>", "use the key in this file instead of making one"),
      optional("--out <file>", "write the private key to this new file instead of printing it"),
    ],
    given: z.object({
      owner: anId("usr_"),
      name: someText,
      kind: z.enum(["manager", "worker", "tool"]),
      jwk: someText.optional(),
      out: someText.optional(),
    }),
    run: async ({ owner, name, kind, jwk, out }) => {
      if (out !== undefined) expectNewFile(out);
      const client = await operatorClient(cli);
      const { publicJwk, privateJwk } = await keyForNewPrincipal(cli, jwk);
      const made = await client.perform(createAgent, { body: { owner, name, kind, jwk: publicJwk } });
      const ids = { id: made.id, clientId: made.client_id, spiffeId: made.spiffe_id };
      const key = await handOver(ids, privateJwk, out);
      return {
        json: { ...ids, ...key.json, ledger: made.ledger },
        text: table([["agent", made.id], ["client id", made.client_id], ...key.rows]),
      };
    },
  });
}
