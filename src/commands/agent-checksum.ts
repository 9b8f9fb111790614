import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import {
  approveAgentChecksum,
  type checksumApprovalChangedSchema,
  listAgentChecksums,
  withdrawAgentChecksum,
} from "@countersign/sdk/contract/agent-configuration";
import { agentChecksum, isModelName, parseAgentChecksum } from "@countersign/sdk/model/agent-configuration";
import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import type { Command } from "commander";
import { z } from "zod";
import { type Answer, type Cli, table, UsageError } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, required, someText } from "./define.ts";
import { allItems, pageAnswer, pageGiven, pageOptions } from "./list.ts";

const checksumOption = () => required("--checksum <hex>", "of the configuration, see agent checksum compute");
const changeGiven = z.object({
  agent: anId("agt_"),
  checksum: someText.transform((text, context) => {
    const checksum = parseAgentChecksum(text);
    if (checksum !== undefined) return checksum;
    context.addIssue({ code: "custom", message: "must be a SHA-256 in lower-case hex" });
    return z.NEVER;
  }),
});

/** `countersign agent checksum …`: which configurations an agent may have. */
export function addAgentChecksum(agent: Command, cli: Cli): void {
  const checksum = agent
    .command("checksum")
    .description("the configurations that an agent may have: without one that is approved it gets no SVID");
  addCompute(checksum, cli);
  addList(checksum, cli);
  defineCommand(checksum, cli, {
    usage: "approve <agent>",
    description: "approve a configuration, as its owner wants: from the first one on, no other gets an SVID",
    example: `agt_01k9… --checksum ${"5e".repeat(4)}…`,
    options: [checksumOption()],
    given: changeGiven,
    run: async ({ agent: id, checksum: of }) => {
      const client = await operatorClient(cli);
      const body = { checksum: of };
      const approved = await client.perform(approveAgentChecksum, { params: { id }, body });
      const all = await allItems((query) => client.perform(listAgentChecksums, { params: { id }, query }));
      return answerOf(
        approved,
        all.length === 1 ? "from now on only measured workloads get an SVID" : undefined,
      );
    },
  });
  defineCommand(checksum, cli, {
    usage: "withdraw <agent>",
    description: "withdraw a configuration: no SVID is issued to a workload that has it",
    example: `agt_01k9… --checksum ${"5e".repeat(4)}…`,
    options: [checksumOption()],
    given: changeGiven,
    run: async ({ agent: id, checksum: of }) => {
      const client = await operatorClient(cli);
      const withdrawn = await client.perform(withdrawAgentChecksum, { params: { id, checksum: of } });
      const all = await allItems((query) => client.perform(listAgentChecksums, { params: { id }, query }));
      const isLast = all.every(({ status }) => status === "withdrawn");
      return answerOf(withdrawn, isLast ? "it was the last: nobody gets an SVID now" : undefined);
    },
  });
}

function answerOf(
  { ledger, ...approval }: z.output<typeof checksumApprovalChangedSchema>,
  consequence: string | undefined,
): Answer {
  const { checksum, agent, status } = approval;
  const text = [`checksum ${checksum} of agent ${agent} is ${status}`, consequence]
    .filter(Boolean)
    .join("\n");
  return { json: { ...approval, ledger }, text, recorded: ledger };
}

function addList(checksum: Command, cli: Cli): void {
  defineCommand(checksum, cli, {
    usage: "list <agent>",
    description: "which configurations an agent may have, and which were withdrawn",
    example: "agt_01k9…",
    options: pageOptions(),
    given: z.object({ agent: anId("agt_"), ...pageGiven(listAgentChecksums) }),
    run: async ({ agent: id, limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(listAgentChecksums, { params: { id }, query: { limit, cursor } });
      return pageAnswer(page, (one) => [
        one.checksum,
        one.status,
        `approved ${one.approved_at}`,
        one.withdrawn_at && `withdrawn ${one.withdrawn_at}`,
      ]);
    },
  });
}

function addCompute(checksum: Command, cli: Cli): void {
  defineCommand(checksum, cli, {
    usage: "compute",
    description: "the checksum of a configuration, and the manifest that lies where the server measures it",
    example: "--model claude-sonnet-4-5 --prompt prompt.txt --tools tools.json",
    options: [
      required("--model <name>", "the model, as its vendor names it"),
      required("--prompt <file>", "the prompt"),
      required("--tools <file>", "the list of tools"),
    ],
    given: z.object({
      model: someText.refine(isModelName, "must be at most 200 characters, all of them visible"),
      prompt: someText,
      tools: someText,
    }),
    run: async ({ model, prompt, tools }) => {
      const [prompt_sha256, tools_sha256] = await Promise.all([hashOf(prompt), hashOf(tools)]);
      const manifest = { model, prompt_sha256, tools_sha256 };
      const of = agentChecksum(manifest);
      const text = table([
        ["checksum", of],
        ["manifest", canonicalJson(manifest)],
      ]);
      return { json: { checksum: of, manifest }, text };
    },
  });
}

async function hashOf(path: string): Promise<string> {
  try {
    return hash("sha256", await readFile(path), "hex");
  } catch (error) {
    throw new UsageError(`${path} can't be read`, { cause: error });
  }
}
