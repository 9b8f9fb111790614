import type { Client } from "@countersign/sdk/client/client";
import { getAgentReach, revokeAgent } from "@countersign/sdk/contract/agents";
import { getDelegationReach, revokeDelegation } from "@countersign/sdk/contract/delegations";
import type { ActOnOne } from "@countersign/sdk/contract/operation";
import type { ReachItem, ReachNowWire, reachNowSchema } from "@countersign/sdk/contract/reach";
import type {
  RevocationReceiptWire,
  revocationReceiptSchema,
} from "@countersign/sdk/contract/revocation-receipt";
import { listReach } from "@countersign/sdk/contract/revocations";
import { revokeToken } from "@countersign/sdk/contract/tokens";
import { idPrefixes } from "@countersign/sdk/model/ids";
import type { Command } from "commander";
import { z } from "zod";
import { type Answer, type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional, someText } from "./define.ts";
import { expectNewFile } from "./key-file.ts";
import { writeEvidence } from "./receipt-evidence.ts";

/** A command that ends something with all that rests on it. */
export interface Revocation {
  readonly usage: string;
  readonly description: string;
  readonly kind: keyof typeof countWords;
  /** What somebody at a terminal is asked, before the id. */
  readonly question: string;
  readonly operation: ActOnOne<typeof revocationReceiptSchema>;
  readonly reach: ActOnOne<typeof reachNowSchema>;
}

const revocations: readonly Revocation[] = [
  {
    usage: "delegation <id>",
    description: "end a delegation and all that was made from it, at once",
    kind: "delegation",
    question: "Revoke delegation",
    operation: revokeDelegation,
    reach: getDelegationReach,
  },
  {
    usage: "agent <id>",
    description: "retire an agent: all that it holds and gave ends at once",
    kind: "agent",
    question: "Revoke agent",
    operation: revokeAgent,
    reach: getAgentReach,
  },
];

const outOption = () =>
  optional("--out <file>", "write the receipt with its list, entry, proof and keys to this new file");

/** `countersign revoke …` */
export function addRevokeCommands(program: Command, cli: Cli): void {
  const revoke = program.command("revoke").description("end authority, at once");
  for (const revocation of revocations) addRevocation(revoke, cli, revocation);
  defineCommand(revoke, cli, {
    usage: "token <id>",
    description: "end one access token, by its jti",
    example: "tok_01k9…",
    options: [outOption()],
    given: z.object({ id: anId("tok_"), out: someText.optional() }),
    run: async ({ id, out }) => {
      if (out !== undefined) expectNewFile(out);
      const client = await operatorClient(cli);
      const receipt = await client.perform(revokeToken, { params: { id } });
      if (out !== undefined) await writeEvidence(cli, client, receipt, out);
      return { json: receipt, text: tokenText(receipt) } satisfies Answer;
    },
  });
}

/** Adds a command that shows what would end, asks whoever can be asked, and answers with the receipt. */
export function addRevocation(parent: Command, cli: Cli, revocation: Revocation): void {
  const { usage, description, kind, question, operation, reach } = revocation;
  const prefix = `${idPrefixes[kind]}_` as const;
  defineCommand(parent, cli, {
    usage,
    description,
    example: `${prefix}01k9…`,
    options: [
      optional("--yes", "do not show it first and ask, as is done at a terminal"),
      optional("--dry-run", "only show what would end"),
      outOption(),
    ],
    given: z.object({
      id: anId(prefix),
      yes: z.boolean().default(false),
      dryRun: z.boolean().default(false),
      out: someText.optional(),
    }),
    run: async ({ id, yes, dryRun, out, json }) => {
      if (out !== undefined) expectNewFile(out);
      const client = await operatorClient(cli);
      // A script, and whoever is in a hurry, is not asked.
      const asks = cli.isTerminal && !yes && !json;
      if (dryRun || asks) {
        const now = await client.perform(reach, { params: { id } });
        if (dryRun) return { json: now, text: reachText(kind, now) };
        cli.note(reachText(kind, now));
        if (!(await cli.confirm(`${question} ${id}?`))) {
          return { json: undefined, text: "nothing was revoked", refused: true };
        }
      }
      const receipt = await client.perform(operation, { params: { id } });
      if (out !== undefined) await writeEvidence(cli, client, receipt, out);
      return { json: receipt, text: json ? "" : await subtreeText(kind, client, receipt) };
    },
  });
}

/** What the counts of each kind's receipt count: not what was revoked itself, which only a delegation's live ones include. */
const countWords = {
  delegation: {
    live: "live now, itself included",
    hold: "agents that hold them",
    held: "agents that held them",
  },
  agent: { live: "live now", hold: "other agents that hold them", held: "other agents that held them" },
  user: {
    live: "live now",
    hold: "agents it would stop, or that hold them",
    held: "agents stopped, or that held them",
  },
} as const;

function reachText(
  kind: keyof typeof countWords,
  { counts, live, soonest_expiry, latest_expiry, items }: ReachNowWire,
): string {
  const when = [soonest_expiry, latest_expiry].filter((time) => time !== undefined);
  const rows = table([
    ["delegations that would end with it", counts.delegations],
    [countWords[kind].hold, counts.agents],
    [countWords[kind].live, `${live.delegations} delegations of ${live.agents} agents`],
    ...(when.length > 0
      ? [["else they end", [...new Set(when)].join(" to ")] satisfies [string, string]]
      : []),
  ]);
  return `${rows}${listText(items, counts.delegations)}`;
}

async function subtreeText(
  kind: keyof typeof countWords,
  client: Client,
  receipt: RevocationReceiptWire,
): Promise<string> {
  const params = { index: String(receipt.ledger.index) };
  const { items } = await client.perform(listReach, { params, query: { limit: itemsShownMax } });
  const rows = table([
    ["revoked", `${receipt.revoked.kind} ${receipt.revoked.id}`],
    ...recordOf(receipt),
    ["delegations ended with it", receipt.counts.delegations],
    [countWords[kind].held, receipt.counts.agents],
  ]);
  return `${rows}${listText(items, receipt.counts.delegations)}`;
}

const itemsShownMax = 50;

/** The first of what ends, a line each. */
function listText(items: readonly ReachItem[], delegations: number): string {
  const shown = items.flatMap((item) =>
    item.kind === "delegation" ? [`  ${item.id}  of ${item.agent}, until ${item.expires_at}`] : [],
  );
  // The node itself may be in the list, and is not in the count.
  const more = delegations > shown.length ? [`  and more: ${delegations} in all`] : [];
  return [...shown, ...more].map((line) => `\n${line}`).join("");
}

/** Tokens are not kept, so nobody can say whether there was one. */
function tokenText(receipt: RevocationReceiptWire): string {
  const promise = `no token with the id ${receipt.revoked.id} is accepted any more`;
  return `${promise}\n${table(recordOf(receipt))}`;
}

function recordOf({ complete_as_of, ledger, tree_size }: RevocationReceiptWire): [string, string | number][] {
  return [
    ["complete as of", complete_as_of],
    ["ledger", `${ledger.log} ${ledger.index}`],
    ["tree size", tree_size],
  ];
}
