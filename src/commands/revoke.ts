import type { Client } from "@countersign/sdk/client/client";
import { revokeAgent } from "@countersign/sdk/contract/agents";
import { revokeDelegation } from "@countersign/sdk/contract/delegations";
import type { ActOnOne } from "@countersign/sdk/contract/operation";
import type {
  RevocationReceiptWire,
  revocationReceiptSchema,
} from "@countersign/sdk/contract/revocation-receipt";
import { listReach } from "@countersign/sdk/contract/revocations";
import { revokeToken } from "@countersign/sdk/contract/tokens";
import { idPrefixes } from "@countersign/sdk/model/ids";
import type { Command } from "commander";
import { z } from "zod";
import { askFirst, askGiven, askOptions, type Ending, reachLines } from "./ask-first.ts";
import { type Answer, type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional, someText } from "./define.ts";
import { expectNewFile } from "./key-file.ts";
import { receiptRows, writeEvidence } from "./receipt-evidence.ts";

/** A command that ends something with all that rests on it. */
export interface Revocation extends Ending {
  readonly usage: string;
  readonly description: string;
  readonly operation: ActOnOne<typeof revocationReceiptSchema>;
}

const revocations: readonly Revocation[] = [
  {
    usage: "delegation <id>",
    description: "end a delegation and all that was made from it, at once",
    kind: "delegation",
    question: "Revoke delegation",
    operation: revokeDelegation,
  },
  {
    usage: "agent <id>",
    description: "retire an agent: all that it holds and gave ends at once",
    kind: "agent",
    question: "Revoke agent",
    operation: revokeAgent,
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
      return { json: receipt, text: tokenText(receipt), recorded: receipt.ledger } satisfies Answer;
    },
  });
}

/** Adds a command that shows what would end, asks whoever can be asked, and answers with the receipt. */
export function addRevocation(parent: Command, cli: Cli, revocation: Revocation): void {
  const { usage, description, kind, operation } = revocation;
  const prefix = `${idPrefixes[kind]}_` as const;
  defineCommand(parent, cli, {
    usage,
    description,
    example: `${prefix}01k9…`,
    options: [...askOptions(), outOption()],
    given: z.object({ id: anId(prefix), ...askGiven, out: someText.optional() }),
    run: async ({ id, out, json, ...asked }) => {
      if (out !== undefined) expectNewFile(out);
      const client = await operatorClient(cli);
      const instead = await askFirst(cli, client, revocation, id, asked);
      if (instead !== undefined) return instead;
      const receipt = await client.perform(operation, { params: { id } });
      if (out !== undefined) await writeEvidence(cli, client, receipt, out);
      const text = json ? "" : await subtreeText(client, receipt);
      return { json: receipt, text, recorded: receipt.ledger };
    },
  });
}

async function subtreeText(client: Client, receipt: RevocationReceiptWire): Promise<string> {
  const { revoked, counts, ledger, tree_size } = receipt;
  const params = { index: String(ledger.index) };
  const reached = await client.perform(listReach, { params, query: { limit: itemsShownMax } });
  const items = [...reached.items];
  // The agents come first: those that were stopped are counted to the last of them.
  for (let next = reached.next; next !== undefined && items.at(-1)?.kind === "agent"; ) {
    const page = await client.perform(listReach, { params, query: { limit: 200, cursor: next } });
    items.push(...page.items);
    next = page.next;
  }
  const rows = table([...receiptRows(receipt, items), ["tree size", tree_size]]);
  const stopped = items.filter(({ kind, id }) => kind === "agent" && id !== revoked.id);
  const lines = [...stopped.map(({ id }) => `  ${id}`), ...reachLines(items, revoked.id, counts.delegations)];
  return [rows, ...lines].join("\n");
}

const itemsShownMax = 50;

/** Tokens are not kept, so nobody can say whether there was one. */
function tokenText({ revoked, complete_as_of, tree_size }: RevocationReceiptWire): string {
  const promise = `no token with the id ${revoked.id} is accepted any more\nwhether it was issued is not known`;
  return `${promise}\n${table([
    ["complete as of", complete_as_of],
    ["tree size", tree_size],
  ])}`;
}
