import { type AgentAccessPageWire, getAgentAccess } from "@countersign/sdk/contract/agent-access";
import { getAgent, listAgents } from "@countersign/sdk/contract/agents";
import type { Command } from "commander";
import { z } from "zod";
import { type Answer, type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional } from "./define.ts";
import { termRows } from "./delegation-terms.ts";
import { columns, pageAnswer, pageGiven, pageOptions } from "./list.ts";

/** `countersign agent list|show|access`: which agents, whose, what may each do and why. */
export function addAgentRegistry(agent: Command, cli: Cli): void {
  addList(agent, cli);
  addShow(agent, cli);
  defineCommand(agent, cli, {
    usage: "access <id>",
    description:
      "what an agent may do now and why: each live delegation with its terms and what is left of its budget, and what policy gives it directly",
    example: "agt_01k9…",
    options: pageOptions(),
    given: z.object({ id: anId("agt_"), ...pageGiven(getAgentAccess) }),
    run: async ({ id, limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(getAgentAccess, { params: { id }, query: { limit, cursor } });
      return { json: page, text: accessText(page) };
    },
  });
}

function addList(agent: Command, cli: Cli): void {
  defineCommand(agent, cli, {
    usage: "list",
    description: "which agents there are, whose, and in what state",
    example: "--owner usr_01k9… --status inactive",
    options: [
      optional("--owner <user>", "those of this person"),
      optional(
        "--status <status>",
        "active, inactive (expired, or the owner is offboarded), suspended or retired",
      ),
      optional("--kind <kind>", "manager, worker or tool"),
      ...pageOptions(),
    ],
    given: z.object({
      owner: anId("usr_").optional(),
      status: z.enum(["active", "inactive", "suspended", "retired"]).optional(),
      kind: z.enum(["manager", "worker", "tool"]).optional(),
      ...pageGiven(listAgents),
    }),
    run: async (query) => {
      const client = await operatorClient(cli);
      const { owner, status, kind, limit, cursor } = query;
      const page = await client.perform(listAgents, { query: { owner, status, kind, limit, cursor } });
      return pageAnswer(page, (one) => [
        one.id,
        one.status,
        one.kind,
        one.owner,
        one.name,
        one.status_reason,
      ]);
    },
  });
}

function addShow(agent: Command, cli: Cli): void {
  defineCommand(agent, cli, {
    usage: "show <id>",
    description: "whose an agent is, its state, its keys, and how many delegations it holds and gave",
    example: "agt_01k9…",
    given: z.object({ id: anId("agt_") }),
    run: async ({ id }): Promise<Answer> => {
      const client = await operatorClient(cli);
      const shown = await client.perform(getAgent, { params: { id } });
      return {
        json: shown,
        text: table([
          ["agent", shown.id],
          ["client id", shown.client_id],
          ["name", shown.name],
          ["owner", shown.owner],
          ["kind", shown.kind],
          ["status", [shown.status, shown.status_reason].filter(Boolean).join(": ")],
          ...shown.keys.map((thumbprint): [string, string] => ["key", thumbprint]),
          ["created", shown.created_at],
          ["expires", shown.expires_at ?? "never"],
          ["last stopped", shown.stopped_at ?? "never"],
          ["delegations held", shown.delegations.held],
          ["delegations given", shown.delegations.given],
        ]),
      };
    },
  });
}

function accessText({ agent, status, status_reason, items, next }: AgentAccessPageWire): string {
  if (status !== "active") return `${agent} may do nothing: ${status_reason ?? `it is ${status}`}`;
  const blocks = items.map((access) => {
    const scopes = access.scopes.flatMap(({ scope, effect, rule, reason, acting }) =>
      acting.effect === effect
        ? [["  ", scope, effect, rule, reason]]
        : // A token is to be had and nothing may be done with it, or the other way about.
          [
            ["  ", scope, `a token: ${effect}`, rule, reason],
            ["  ", scope, `to act: ${acting.effect}`, acting.rule, acting.reason],
          ],
    );
    if (access.by === "policy") return `policy  on ${access.resource}\n${columns(scopes)}`;
    const { delegation, grantors, budget_left } = access;
    const from = grantors.map((one) => ("user" in one ? one.user : one.agent)).join(" > ");
    const head = `${delegation.id}  on ${delegation.resource}, from ${from}, until ${delegation.expires_at}`;
    const terms = termRows(delegation, budget_left).map(([name, value]) => ["  ", name, String(value)]);
    return [head, columns(terms), columns(scopes)].join("\n");
  });
  return [...blocks, ...(next === undefined ? [] : [`more: --cursor ${next}`])].join("\n") || "nothing";
}
