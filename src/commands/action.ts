import { getAction, listActions } from "@countersign/sdk/contract/actions";
import type { Command } from "commander";
import { z } from "zod";
import { type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional } from "./define.ts";
import { pageAnswer, pageGiven, pageOptions } from "./list.ts";

/** `countersign action …`: what agents were let do, and what became of it. */
export function addActionCommands(program: Command, cli: Cli): void {
  const action = program.command("action").description("what agents were let do, and what became of it");
  defineCommand(action, cli, {
    usage: "list",
    description: "which actions were authorized, and what was claimed and witnessed of each",
    example: "--agent agt_01k9…",
    options: [
      optional("--agent <agent>", "those of this agent"),
      optional("--delegation <delegation>", "those under this delegation"),
      ...pageOptions(),
    ],
    given: z.object({
      agent: anId("agt_").optional(),
      delegation: anId("dlg_").optional(),
      ...pageGiven(listActions),
    }),
    run: async ({ agent, delegation, limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(listActions, { query: { agent, delegation, limit, cursor } });
      return pageAnswer(page, (one) => [
        one.id,
        one.decided_at,
        one.agent,
        one.action,
        one.resource,
        accountOf(one),
      ]);
    },
  });
  addShow(action, cli);
}

function addShow(action: Command, cli: Cli): void {
  defineCommand(action, cli, {
    usage: "show <id>",
    description: "show one authorized action, and what was claimed and witnessed of it",
    example: "act_01k9…",
    given: z.object({ id: anId("act_") }),
    run: async ({ id }) => {
      const client = await operatorClient(cli);
      const shown = await client.perform(getAction, { params: { id } });
      const { tool_call: call, granted } = shown;
      return {
        json: shown,
        text: table([
          ["action", `${shown.id} ${shown.action}`],
          ["by", shown.agent],
          ["under", shown.delegation ?? "its own right"],
          ["at", shown.resource],
          ["scope", shown.scope.join(" ")],
          ["tool", call === undefined ? "none" : `${call.server} ${call.tool}`],
          ["authorized", `${shown.decided_at}, ${granted.log} ${granted.index}`],
          ["account", accountOf(shown)],
        ]),
      };
    },
  });
}

function accountOf({ claimed, witnessed, unaccounted }: z.output<typeof getAction.answer>): string {
  const accounts = [
    claimed && `claimed ${claimed.outcome} ${claimed.standing}`,
    witnessed && `witnessed ${witnessed.outcome} ${witnessed.standing}`,
  ].filter((account) => account !== undefined);
  return accounts.join(", ") || (unaccounted ? "unaccounted" : "not reported yet");
}
