import { getAccountability, listActionReports } from "@countersign/sdk/contract/actions";
import { type AgentHistoryPageWire, getAgentHistory } from "@countersign/sdk/contract/agent-history";
import type { Command } from "commander";
import { decodeJwt } from "jose";
import { z } from "zod";
import { type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional } from "./define.ts";
import { aLimit, columnLines, limitOption, pageAnswer, pageGiven, pageOptions } from "./list.ts";

/** `countersign agent history|reports|accountability`: what an agent did, by the record and by those who reported it. */
export function addAgentRecord(agent: Command, cli: Cli): void {
  addHistory(agent, cli);
  defineCommand(agent, cli, {
    usage: "reports <id>",
    description:
      "what was reported of an agent, granted or not: by itself (agent), or by a resource that saw it",
    example: "agt_01k9…",
    options: pageOptions(),
    given: z.object({ id: anId("agt_"), ...pageGiven(listActionReports) }),
    run: async ({ id, limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(listActionReports, { params: { id }, query: { limit, cursor } });
      return pageAnswer(page, ({ ledger, reported_at, reporter, outcome, standing, action_id, report }) => [
        `${ledger.log} ${ledger.index}`,
        reported_at,
        `${reporter.kind} ${reporter.id}`,
        outcome,
        standing,
        action_id ?? "-",
        deedOf(report),
      ]);
    },
  });
  defineCommand(agent, cli, {
    usage: "accountability <id>",
    description: "how an agent's granted actions and the reports of what it did add up",
    example: "agt_01k9…",
    given: z.object({ id: anId("agt_") }),
    run: async ({ id }) => {
      const client = await operatorClient(cli);
      const sums = await client.perform(getAccountability, { params: { id } });
      return {
        json: sums,
        text: table([
          ["agent", sums.agent],
          ["actions granted", sums.granted],
          ["of them claimed by the agent", sums.claimed],
          ["of them witnessed by a resource", sums.witnessed],
          ["of them unaccounted", sums.unaccounted],
          ["reports out of scope", sums.out_of_scope],
          ["reports of what was not granted", sums.unauthorized],
        ]),
      };
    },
  });
}

/** What a report tells: it was verified when it was recorded. One of a newer version is left unread. */
const reportSchema = z.looseObject({
  report: z.looseObject({
    action: z.string(),
    scope: z.array(z.string()),
    resource: z.string(),
    tool_call: z.looseObject({ server: z.string(), tool: z.string() }).optional(),
  }),
});

function deedOf(report: string): string {
  const deed = reportSchema.safeParse(decodeJwt(report)).data?.report;
  if (deed === undefined) return "";
  const { action, scope, resource, tool_call: call } = deed;
  const tool = call === undefined ? [] : [`by ${call.server} ${call.tool}`];
  return [action, `for ${scope.join(" ")}`, `at ${resource}`, ...tool].join(" ");
}

function addHistory(agent: Command, cli: Cli): void {
  defineCommand(agent, cli, {
    usage: "history <id>",
    description: "what an agent did: the entries of the ledger in which it acted, newest first",
    example: "agt_01k9… --limit 20",
    options: [limitOption(), optional("--before <index>", "entries before this one")],
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
      const client = await operatorClient(cli);
      const query = { limit, before };
      const page = await client.perform(getAgentHistory, { params: { id }, query, scope: "audit" });
      return {
        json: page,
        text: historyText(page) || (before === undefined ? "nothing yet" : "nothing before"),
      };
    },
  });
}

/** The members of an entry that tell what was done; all of them may be absent, or of a newer version. */
const told = z.looseObject({
  time: z.string().optional(),
  resource: z.string().optional(),
  scope: z.array(z.string()).optional(),
  tool: z.string().optional(),
  subject: z.string().optional(),
  delegation: z.string().optional(),
  path: z.array(z.string()).optional(),
  decision: z.looseObject({ rule: z.string().optional() }).optional(),
  refusal: z.looseObject({ code: z.string(), reason: z.string().optional() }).optional(),
  count: z.number().optional(),
});

/** An entry says which condition did not hold: here what that means, of a spent budget and of a configuration. */
function inWords(reason: string, type: string): string {
  const hint = type === "svid.refused" ? " (is --measure set?)" : "";
  return reason
    .replace(/^not (dlg_[a-z0-9]+) with ([a-z_]+) left$/, "no $2 left on $1")
    .replace(
      /^not agt_[a-z0-9]+ with a checksum that was measured$/,
      `its configuration was not measured${hint}`,
    )
    .replace(
      /^not agt_[a-z0-9]+ with checksum ([0-9a-f]{64}) approved$/,
      "measured $1, which is not approved",
    );
}

/** An entry a line; below it for whom, by which delegations, by which rule, and why not. */
function historyText({ items, next }: AgentHistoryPageWire): string {
  const entries = items.map(({ index, entry }) => ({ index, type: entry.type, ...told.parse(entry) }));
  const heads = columnLines(
    entries.map(({ index, time, type, refusal, resource, scope = [], tool, count }) => {
      const times = count === undefined ? [] : [`${count} times`];
      const what = [refusal?.code, resource, ...scope, tool, ...times].filter(Boolean).join(" ");
      return [String(index), time, type, what];
    }),
  );
  const lines = entries.flatMap(({ type, subject, delegation, path, decision, refusal }, place) => {
    const by = path ?? (delegation === undefined ? [] : [delegation]);
    const why = [
      subject && `for ${subject}`,
      by.length > 0 && `by ${by.join(" > ")}`,
      decision?.rule && `rule ${decision.rule}`,
      refusal?.reason && `refused: ${inWords(refusal.reason, type)}`,
    ].filter(Boolean);
    return [heads[place], ...(why.length > 0 ? [`    ${why.join(", ")}`] : [])];
  });
  const more = next === undefined ? [] : [`more: --before ${next}`];
  return [...lines, ...more].join("\n");
}
