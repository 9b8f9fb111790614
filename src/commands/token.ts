import { signClientAssertion } from "@countersign/sdk/client/sign";
import type { Command } from "commander";
import { z } from "zod";
import { type Cli, table, UsageError } from "./cli.ts";
import { agentIdentity, clientOf, issuerOf } from "./connection.ts";
import { defineCommand, optional, repeated, required, someText } from "./define.ts";

const givenSchema = z.object({
  agent: someText.optional(),
  key: someText,
  delegation: someText.optional(),
  resource: someText.optional(),
  scope: z.array(someText).default([]),
  assertion: z.boolean().default(false),
});

/** `countersign token`: a token for an agent, or the client assertion with which curl can ask for one. */
export function addTokenCommand(program: Command, cli: Cli): void {
  defineCommand(program, cli, {
    usage: "token",
    description: "get an access token as an agent, bound to the agent's key (DPoP)",
    example:
      "--agent agt_01k9… --key agent.json --delegation dlg_01k9… --resource https://mail.example.com --scope mail.read",
    options: [
      optional("--agent <agent>", "id of the agent, when the key file does not say"),
      required("--key <file>", "the agent's key file"),
      optional(
        "--delegation <delegation>",
        "the delegation to redeem; without it, a token in the agent's own right",
      ),
      optional("--resource <uri>", "audience of the resource"),
      repeated("--scope <scope>", "what to ask for"),
      optional("--assertion", "print a client assertion for curl instead: good once, for a minute"),
    ],
    given: givenSchema,
    run: async ({ agent, key, delegation, resource, scope, assertion }) => {
      const config = cli.readConfig();
      const identity = await agentIdentity(cli, config, agent, key);
      if (assertion) {
        const signed = await signClientAssertion(cli, { ...identity, issuer: await issuerOf(cli, config) });
        return { json: { clientId: identity.clientId, assertion: signed }, text: signed };
      }
      if (resource === undefined) throw new UsageError("--resource says which resource the token is for");
      const client = await clientOf(cli, config, identity.clientId, identity.key);
      const target = { resource, scope: scope.join(" ") };
      const response =
        delegation === undefined
          ? await client.requestToken(target)
          : await client.redeemDelegation({ ...target, delegation });
      return {
        json: response,
        text: table([
          ["access token", response.access_token],
          ["type", response.token_type],
          ["expires in", `${response.expires_in} s`],
          ["scope", response.scope ?? ""],
          ["ledger", response.ledger ? `${response.ledger.log} ${response.ledger.index}` : "not told"],
        ]),
      };
    },
  });
}
