import { type RevocationReceiptWire, revocationReceiptSchema } from "@countersign/sdk/contract/admin-api";
import type { Command } from "commander";
import { z } from "zod";
import { type Answer, type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand } from "./define.ts";

const kinds = [
  {
    kind: "delegation",
    prefix: "dlg_",
    description: "end a delegation and all that was made from it, at once",
    text: subtreeText,
  },
  {
    kind: "agent",
    prefix: "agt_",
    description: "retire an agent: all that it holds and gave ends at once",
    text: subtreeText,
  },
  { kind: "token", prefix: "tok_", description: "end one access token, by its jti", text: tokenText },
] as const;

/** `countersign revoke …` */
export function addRevokeCommands(program: Command, cli: Cli): void {
  const revoke = program.command("revoke").description("end authority, at once");
  for (const { kind, prefix, description, text } of kinds) {
    defineCommand(revoke, cli, {
      usage: `${kind} <id>`,
      description,
      example: `${prefix}01k9…`,
      given: z.object({ id: anId(prefix) }),
      run: async ({ id }) => {
        const client = await operatorClient(cli);
        const path = `/v1/${kind}s/${encodeURIComponent(id)}/revoke`;
        const receipt = await client.call({ method: "POST", path, scope: "admin" }, revocationReceiptSchema);
        return { json: receipt, text: text(receipt) } satisfies Answer;
      },
    });
  }
}

function subtreeText(receipt: RevocationReceiptWire): string {
  return table([
    ["revoked", `${receipt.revoked.kind} ${receipt.revoked.id}`],
    ...recordOf(receipt),
    ["delegations ended with it", receipt.counts.delegations],
    ["agents that held them", receipt.counts.agents],
  ]);
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
