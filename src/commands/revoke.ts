import { revokeAgent } from "@countersign/sdk/contract/agents";
import { revokeDelegation } from "@countersign/sdk/contract/delegations";
import type { ActOnOne } from "@countersign/sdk/contract/operation";
import type {
  RevocationReceiptWire,
  revocationReceiptSchema,
} from "@countersign/sdk/contract/revocation-receipt";
import { revokeToken } from "@countersign/sdk/contract/tokens";
import type { Command } from "commander";
import { z } from "zod";
import { type Answer, type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand } from "./define.ts";

interface Revocable {
  readonly kind: string;
  readonly prefix: "dlg_" | "agt_" | "tok_";
  readonly operation: ActOnOne<typeof revocationReceiptSchema>;
  readonly description: string;
  text(receipt: RevocationReceiptWire): string;
}

const revocables: readonly Revocable[] = [
  {
    kind: "delegation",
    prefix: "dlg_",
    operation: revokeDelegation,
    description: "end a delegation and all that was made from it, at once",
    text: subtreeText,
  },
  {
    kind: "agent",
    prefix: "agt_",
    operation: revokeAgent,
    description: "retire an agent: all that it holds and gave ends at once",
    text: subtreeText,
  },
  {
    kind: "token",
    prefix: "tok_",
    operation: revokeToken,
    description: "end one access token, by its jti",
    text: tokenText,
  },
];

/** `countersign revoke …` */
export function addRevokeCommands(program: Command, cli: Cli): void {
  const revoke = program.command("revoke").description("end authority, at once");
  for (const { kind, prefix, operation, description, text } of revocables) {
    defineCommand(revoke, cli, {
      usage: `${kind} <id>`,
      description,
      example: `${prefix}01k9…`,
      given: z.object({ id: anId(prefix) }),
      run: async ({ id }) => {
        const client = await operatorClient(cli);
        const receipt = await client.perform(operation, { params: { id } });
        return { json: receipt, text: text(receipt) } satisfies Answer;
      },
    });
  }
}

/** What a revocation ended, in words. */
export function subtreeText(receipt: RevocationReceiptWire): string {
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
