import type { Client } from "@countersign/sdk/client/client";
import { getAgent, getAgentReach, listAgents } from "@countersign/sdk/contract/agents";
import { getDelegation, getDelegationReach } from "@countersign/sdk/contract/delegations";
import type { ActOnOne } from "@countersign/sdk/contract/operation";
import type { ReachItem, ReachNowWire, reachNowSchema } from "@countersign/sdk/contract/reach";
import { getUser, getUserReach } from "@countersign/sdk/contract/users";
import { z } from "zod";
import { type Answer, type Cli, CommandError, table } from "./cli.ts";
import { optional } from "./define.ts";
import { allItems } from "./list.ts";

/** What can be ended with all that rests on it, and what a command asks before. */
export interface Ending {
  readonly kind: keyof typeof nodes;
  /** What somebody at a terminal is asked, before the id. */
  readonly question: string;
}

interface Node {
  readonly reach: ActOnOne<typeof reachNowSchema>;
  readonly read: (client: Client, id: string) => Promise<{ readonly status: string }>;
  /** The status of one that has been ended for good. */
  readonly over: string;
  readonly live: string;
}

const nodes = {
  delegation: {
    reach: getDelegationReach,
    read: (client, id) => client.perform(getDelegation, { params: { id }, scope: "admin" }),
    over: "revoked",
    live: "live now, itself included",
  },
  agent: {
    reach: getAgentReach,
    read: (client, id) => client.perform(getAgent, { params: { id } }),
    over: "retired",
    live: "live now",
  },
  user: {
    reach: getUserReach,
    read: (client, id) => client.perform(getUser, { params: { id } }),
    over: "offboarded",
    live: "live now",
  },
} satisfies Record<string, Node>;

/** The options of a command that shows what would end, and asks. */
export const askOptions = () => [
  optional("--yes", "do not show it first and ask, as is done at a terminal"),
  optional("--dry-run", "only show what would end"),
];

/** What `askOptions` were given. */
export const askGiven = { yes: z.boolean().default(false), dryRun: z.boolean().default(false) };

interface Asked {
  readonly yes: boolean;
  readonly dryRun: boolean;
}

/**
 * Shows whoever sits at a terminal what would end, and asks; a script, and whoever is in a hurry, is not asked. An answer
 * is the command's: nothing is to be ended then.
 *
 * @throws CommandError `conflict` when there is nothing to ask about any more
 */
export async function askFirst(
  cli: Cli,
  client: Client,
  { kind, question }: Ending,
  id: string,
  { yes, dryRun }: Asked,
): Promise<Answer | undefined> {
  if (!dryRun && (yes || !cli.isTerminal)) return undefined;
  const node: Node = nodes[kind];
  const [now, { status }] = await Promise.all([
    client.perform(node.reach, { params: { id } }),
    node.read(client, id),
  ]);
  const over = status === node.over ? `${id} is ${status} already` : undefined;
  if (dryRun && over !== undefined) return { json: now, text: `${over}: nothing more would end` };
  if (over !== undefined) throw new CommandError("conflict", over);
  const text = await reachText(client, kind, id, now, status);
  if (dryRun) return { json: now, text };
  cli.note(text);
  return (await cli.confirm(`${question} ${id}?`)) ? undefined : declined("nothing was revoked");
}

/** Asks whoever sits at a terminal, where there is nothing to show before. An answer is the command's: they said no. */
export async function confirmFirst(cli: Cli, question: string, yes: boolean): Promise<Answer | undefined> {
  if (yes || !cli.isTerminal || (await cli.confirm(question))) return undefined;
  return declined("nothing was changed");
}

/** The answer of a command whose caller was asked, and said no. */
export function declined(detail: string): Answer {
  return { json: { error: { code: "declined", detail } }, text: detail, refused: true };
}

async function reachText(
  client: Client,
  kind: Ending["kind"],
  id: string,
  { counts, live, soonest_expiry, latest_expiry, items }: ReachNowWire,
  status: string,
): Promise<string> {
  // The live ones are counted with the node itself, which does not end with itself.
  const wouldEnd = live.delegations - (kind === "delegation" && status === "active" ? 1 : 0);
  const notLive = counts.delegations - wouldEnd;
  const owned = kind === "user" ? await agentsOf(client, id) : [];
  const when = [soonest_expiry, latest_expiry].filter((time) => time !== undefined);
  const rows = table([
    ["delegations that would end with it", wouldEnd],
    ...(notLive > 0 ? [row("ended already, or at rest", notLive)] : []),
    ...agentRows(kind, counts.agents, owned.length, "would"),
    [nodes[kind].live, `${live.delegations} delegations of ${live.agents} agents`],
    ...(when.length > 0 ? [row("else they end", [...new Set(when)].join(" to "))] : []),
  ]);
  const marks = notLive > 0 ? await marksOf(client, items) : new Map<string, string>();
  const stopped = owned.slice(0, itemsShownMax).map(({ id, name, status }) => {
    return `  ${id}  ${name}${status === "active" ? "" : ` (${status} already)`}`;
  });
  return [rows, ...stopped, ...reachLines(items, id, counts.delegations, marks)].join("\n");
}

/** How many agents a reach concerns, by what becomes of them: of those of a person some are stopped themselves. */
export function agentRows(
  kind: string,
  agents: number,
  stopped: number,
  tense: "would" | "did",
): [string, string | number][] {
  const holding = tense === "would" ? "agents that hold them" : "agents that held them";
  if (kind !== "user") return [row(kind === "agent" ? `other ${holding}` : holding, agents)];
  return [
    row(tense === "would" ? "agents it would stop" : "agents stopped", stopped),
    row(`other ${holding}`, agents - stopped),
  ];
}

const itemsShownMax = 50;

/** The first delegations that are reached beside the node itself, a line each. */
export function reachLines(
  items: readonly ReachItem[],
  node: string,
  count: number,
  marks: ReadonlyMap<string, string> = new Map(),
): string[] {
  const shown = items.flatMap((item) =>
    item.kind === "delegation" && item.id !== node
      ? [`  ${item.id}  of ${item.agent}, until ${item.expires_at}${marks.get(item.id) ?? ""}`]
      : [],
  );
  return count > shown.length ? [...shown, `  and more: ${count} in all`] : shown;
}

function agentsOf(client: Client, owner: string) {
  return allItems((query) => client.perform(listAgents, { query: { ...query, owner } }));
}

/** What to say behind each of those that carry no authority now. */
async function marksOf(client: Client, items: readonly ReachItem[]): Promise<Map<string, string>> {
  const delegations = items.filter(({ kind }) => kind === "delegation");
  const read = await Promise.all(delegations.map(({ id }) => nodes.delegation.read(client, id)));
  return new Map(
    delegations.flatMap(({ id }, place) => {
      const status = read[place]?.status ?? "active";
      return status === "active" ? [] : [[id, ` (${status} already)`] satisfies [string, string]];
    }),
  );
}

function row(name: string, value: string | number): [string, string | number] {
  return [name, value];
}
