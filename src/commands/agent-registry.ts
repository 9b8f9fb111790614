import type { Client } from "@countersign/sdk/client/client";
import { type AgentAccessPageWire, getAgentAccess } from "@countersign/sdk/contract/agent-access";
import { type AgentHistoryPageWire, getAgentHistory } from "@countersign/sdk/contract/agent-history";
import { getAgent, listAgents } from "@countersign/sdk/contract/agents";
import type { Command } from "commander";
import { z } from "zod";
import { type Answer, type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional } from "./define.ts";
import { aLimit, columns, pageAnswer, pageGiven, pageOptions } from "./list.ts";

/** `countersign agent list|show|access|history`: which agents, whose, what may each do and why, what did it do. */
export function addAgentRegistry(agent: Command, cli: Cli): void {
  addList(agent, cli);
  addShow(agent, cli);
  defineCommand(agent, cli, {
    usage: "access <id>",
    description: "what an agent may do now and why: each live delegation, and what policy gives it directly",
    example: "agt_01k9…",
    options: pageOptions(),
    given: z.object({ id: anId("agt_"), ...pageGiven }),
    run: async ({ id, limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(getAgentAccess, { params: { id }, query: { limit, cursor } });
      return { json: page, text: accessText(page) };
    },
  });
  defineCommand(agent, cli, {
    usage: "history <id>",
    description: "what an agent did: the entries of the ledger in which it acted, newest first",
    example: "agt_01k9… --limit 20",
    options: [
      optional("--limit <count>", "at most so many, 1 to 200").default("50"),
      optional("--before <index>", "entries before this one"),
    ],
    given: z.object({
      id: anId("agt_"),
      limit: aLimit,
      before: z
        .string()
        .regex(/^[0-9]{1,15}$/, "must be the index of an entry")
        .transform(Number)
        .optional(),
    }),
    run: async ({ id, limit, before }) => {
      const page = await historyOf(await operatorClient(cli), id, { limit, before });
      return { json: page, text: historyText(page) };
    },
  });
}

function historyOf(client: Client, id: string, query: { limit: number; before: number | undefined }) {
  return client.perform(getAgentHistory, { params: { id }, query, scope: "audit" });
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
      ...pageGiven,
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
    const scopes = access.scopes.map(({ scope, effect, rule, reason, acting }) => [
      "  ",
      scope,
      effect,
      rule,
      reason,
      // Where a token is to be had and nothing may be done with it.
      ...(acting.effect === effect ? [] : [`to act: ${acting.effect}`, acting.rule]),
    ]);
    if (access.by === "policy") return `policy  on ${access.resource}\n${columns(scopes)}`;
    const { delegation, grantors, budget_left } = access;
    const from = grantors.map((one) => ("user" in one ? one.user : one.agent)).join(" > ");
    const left = Object.entries(budget_left).map(([unit, count]) => `${count} ${unit} left`);
    const details =
      delegation.authorization_details.length > 0 ? [JSON.stringify(delegation.authorization_details)] : [];
    const terms = [`until ${delegation.expires_at}`, ...left, ...details].join(", ");
    return `${delegation.id}  on ${delegation.resource}, from ${from}, ${terms}\n${columns(scopes)}`;
  });
  return [...blocks, ...(next === undefined ? [] : [`more: --cursor ${next}`])].join("\n") || "nothing";
}

/** The members of an entry that tell what was done; all of them may be absent, or of a newer version. */
const told = z.looseObject({
  time: z.string().optional(),
  resource: z.string().optional(),
  scope: z.array(z.string()).optional(),
  delegation: z.string().optional(),
  refusal: z.looseObject({ code: z.string() }).optional(),
  count: z.number().optional(),
});

function historyText({ items, next }: AgentHistoryPageWire): string {
  const rows = items.map(({ index, entry }) => {
    const { time, resource, scope = [], delegation, refusal, count } = told.parse(entry);
    const times = count === undefined ? [] : [`${count} times`];
    const what = [refusal?.code, resource, ...scope, delegation, ...times].filter(Boolean).join(" ");
    return [String(index), time, entry.type, what];
  });
  return (
    [columns(rows), ...(next === undefined ? [] : [`more: --before ${next}`])].join("\n") || "nothing yet"
  );
}
