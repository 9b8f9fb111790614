import { getPolicy, listPolicies } from "@countersign/sdk/contract/policies";
import type { Command } from "commander";
import { z } from "zod";
import type { Cli } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { defineCommand, someText } from "./define.ts";
import { pageAnswer, pageGiven, pageOptions } from "./list.ts";
import { aVersionNumber, changesText, changesTo, noLines, readText } from "./policy-lines.ts";

/** `countersign policy show|list|diff`: the versions that a server decides by. */
export function addPolicyLifeCommands(policy: Command, cli: Cli): void {
  defineCommand(policy, cli, {
    usage: "list",
    description: "which versions came into force, when and by whom",
    example: "",
    options: pageOptions(),
    given: z.object(pageGiven(listPolicies)),
    run: async ({ limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(listPolicies, { query: { limit, cursor } });
      return pageAnswer(page, (one) => [
        String(one.number),
        one.applied_at,
        one.applied_by ?? "the server",
        one.hash,
      ]);
    },
  });
  defineCommand(policy, cli, {
    usage: "show [number]",
    description: "the lines of a version; without a number, of the one in force",
    example: "3",
    given: z.object({ number: aVersionNumber.optional() }),
    run: async ({ number = "current" }) => {
      const shown = await (await operatorClient(cli)).perform(getPolicy, { params: { number } });
      return { json: shown, text: shown.source?.trimEnd() ?? noLines(shown.number) };
    },
  });
  defineCommand(policy, cli, {
    usage: "diff <file>",
    description: "what a policy says otherwise than the one in force",
    example: "my-policy.csv",
    given: z.object({ file: someText }),
    run: async ({ file }) => {
      const changes = await changesTo(cli, await operatorClient(cli), await readText(file));
      return { json: { changes }, text: changesText(changes) };
    },
  });
}
