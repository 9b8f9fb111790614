import { revocationReceiptSchema } from "@countersign/sdk/contract/admin-api";
import type { Command } from "commander";
import { z } from "zod";
import { type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { defineCommand, someText } from "./define.ts";

const kinds = {
  delegation: "end a delegation and all that was made from it, at once",
  agent: "retire an agent: all that it holds and gave ends at once",
  token: "end one access token, by its jti",
} as const;

/** `countersign revoke …` */
export function addRevokeCommands(program: Command, cli: Cli): void {
  const revoke = program.command("revoke").description("end authority, at once");
  for (const [kind, description] of Object.entries(kinds)) {
    defineCommand(revoke, cli, {
      usage: `${kind} <id>`,
      description,
      example: `${kind === "delegation" ? "dlg" : kind === "agent" ? "agt" : "tok"}_01k9…`,
      given: z.object({ id: someText }),
      run: async ({ id }) => {
        const client = await operatorClient(cli);
        const path = `/v1/${kind}s/${encodeURIComponent(id)}/revoke`;
        const receipt = await client.call({ method: "POST", path, scope: "admin" }, revocationReceiptSchema);
        return {
          json: receipt,
          text: table([
            ["revoked", `${receipt.revoked.kind} ${receipt.revoked.id}`],
            ["complete as of", receipt.complete_as_of],
            ["ledger", `${receipt.ledger.log} ${receipt.ledger.index}`],
            ["tree size", receipt.tree_size],
            ["delegations ended with it", receipt.counts.delegations],
            ["agents that held them", receipt.counts.agents],
          ]),
        };
      },
    });
  }
}
