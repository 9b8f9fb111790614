import { RefusedError } from "@countersign/sdk/client/client-error";
import {
  consentToDelegation,
  type DelegationWire,
  getDelegation,
  listDelegations,
} from "@countersign/sdk/contract/delegations";
import type { Command } from "commander";
import { z } from "zod";
import { type Cli, table } from "./cli.ts";
import { agentClient, operatorClient } from "./connection.ts";
import { anId, defineCommand, optional, someText } from "./define.ts";
import { originRows, termRows } from "./delegation-terms.ts";
import { pageAnswer, pageGiven, pageOptions } from "./list.ts";

/** `countersign delegation …`; they are made by `countersign delegate` and ended by `countersign revoke delegation`. */
export function addDelegationCommands(program: Command, cli: Cli): void {
  const delegation = program.command("delegation").description("what was delegated, by whom to whom");
  addRegistry(delegation, cli);
  defineCommand(delegation, cli, {
    usage: "consent <id>",
    description:
      "let a delegation hold again that rests since its agent has another owner: asserted for the person who granted it, or with --key by the agent that passed it on",
    example: "dlg_01k9…",
    options: [
      optional("--key <file>", "key file of the agent that passed it on"),
      optional("--agent <agent>", "whose key that is, when the file does not say"),
    ],
    given: z.object({ id: anId("dlg_"), key: someText.optional(), agent: someText.optional() }),
    run: async ({ id, key, agent }) => {
      const client = key === undefined ? await operatorClient(cli) : await agentClient(cli, agent, key);
      const scope = key === undefined ? "admin" : "delegate";
      const consented = client.perform(consentToDelegation, { params: { id }, scope });
      const { status, ledger } = await consented.catch((error: unknown) => {
        throw key === undefined ? hinting(error) : error;
      });
      return { json: { id, status, ledger }, text: `delegation ${id} is ${status}`, recorded: ledger };
    },
  });
}

/** An operator asserts what a person wishes, and never what an agent does. */
function hinting(error: unknown): unknown {
  if (!(error instanceof RefusedError && error.code === "not_authorized")) return error;
  return new RefusedError(
    error.status,
    error.code,
    `${error.message}: --key FILE names that agent's key file`,
  );
}

/** How what a delegation rests on, or the delegation itself, holds again. */
function consentRows({ path, status_reason }: DelegationWire): [string, string][] {
  const [, resting] = /^(dlg_[a-z0-9]+) rests /.exec(status_reason ?? "") ?? [];
  if (resting === undefined) return [];
  const key = resting === path[0] ? "" : " --key FILE";
  return [["to let it hold", `countersign delegation consent ${resting}${key}`]];
}

function addRegistry(delegation: Command, cli: Cli): void {
  defineCommand(delegation, cli, {
    usage: "list",
    description: "which delegations there are, and whether each holds",
    example: "--agent agt_01k9…",
    options: [optional("--agent <agent>", "those that this agent gave or was given"), ...pageOptions()],
    given: z.object({ agent: anId("agt_").optional(), ...pageGiven(listDelegations) }),
    run: async ({ agent, limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(listDelegations, { query: { agent, limit, cursor } });
      return pageAnswer(page, (one) => [
        one.id,
        one.status,
        `${one.grantor_agent ?? one.subject} > ${one.grantee_agent}`,
        one.resource,
        one.scope.join(" "),
        one.status_reason,
      ]);
    },
  });
  defineCommand(delegation, cli, {
    usage: "show <id>",
    description: "show one delegation: its terms, what is left of its budget, whether it holds, and why not",
    example: "dlg_01k9…",
    given: z.object({ id: anId("dlg_") }),
    run: async ({ id }) => {
      const client = await operatorClient(cli);
      const shown = await client.perform(getDelegation, { params: { id } });
      return {
        json: shown,
        text: table([
          ["delegation", shown.id],
          ["status", [shown.status, shown.status_reason].filter(Boolean).join(": ")],
          ...consentRows(shown),
          ["for", shown.subject],
          ["from", shown.grantor_agent ?? shown.subject],
          ["to", shown.grantee_agent],
          ["resource", shown.resource],
          ["scope", shown.scope.join(" ")],
          ["until", shown.expires_at],
          ...termRows(shown, shown.budget_left),
          ...originRows(shown),
          ["path", shown.path.join(" > ")],
        ]),
      };
    },
  });
}
