import {
  createDelegation,
  grantRequestSchema,
  type narrowRequestSchema,
} from "@countersign/sdk/contract/delegations";
import { anAudience } from "@countersign/sdk/contract/fields";
import type { Command } from "commander";
import { z } from "zod";
import { type Answer, type Cli, table, UsageError } from "./cli.ts";
import { agentClient, operatorClient } from "./connection.ts";
import { anId, defineCommand, optional, repeated, required, someScopes, someText } from "./define.ts";
import { originRows, termRows } from "./delegation-terms.ts";
import { detailsOption, readDetails } from "./details-option.ts";
import { durationSchema } from "./duration.ts";

/** Words, since neither an id, nor a URI, nor a scope can hold a blank: an agent, a resource, scopes. */
const onwardTarget = someText
  .transform((text) => text.split(/ +/))
  .pipe(z.tuple([anId("agt_")], someText))
  .transform(([agent, resource, ...scope]) => ({ agent, resource, scope }));

const givenSchema = z.object({
  from: someText,
  to: anId("agt_"),
  resource: anAudience,
  scope: someScopes,
  details: someText.optional(),
  expires: durationSchema.optional(),
  maxDepth: z
    .string()
    .regex(/^([0-9]|1[0-5])$/, "must be a whole number from 0 to 15")
    .transform(Number)
    .optional(),
  budget: z
    .array(
      z
        .string()
        .regex(
          /^(?:tokens|calls|rows|spend:[A-Z]{3})=(?:0|[1-9][0-9]{0,14})$/,
          "must be like tokens=100, rows=100 or spend:EUR=1250",
        )
        // Nothing could be done with it: a delegation that is not to be used is not made.
        .refine(
          (allowance) => allowance !== "tokens=0",
          "of no tokens lets it get none: give it one at least",
        ),
    )
    // Of two limits on one unit nobody could say which was meant.
    .refine(
      (allowances) =>
        new Set(allowances.map((allowance) => allowance.split("=")[0])).size === allowances.length,
      "limits a unit twice",
    )
    .default([]),
  onward: z.array(onwardTarget).default([]),
  session: grantRequestSchema.shape.session,
  exclusive: z.boolean().optional(),
  key: someText.optional(),
  agent: someText.optional(),
});
type Given = z.infer<typeof givenSchema>;
type Terms = Omit<z.input<typeof narrowRequestSchema>, "parent">;

/** `countersign delegate`: a User's grant, asserted by the operator, or an agent's, under its own token. */
export function addDelegateCommand(program: Command, cli: Cli): void {
  defineCommand(program, cli, {
    usage: "delegate",
    description:
      "hand authority to an agent: from a person, or from a delegation by the agent it was made to",
    example:
      "--from usr_01k9… --to agt_01k9… --resource https://mail.example.com --scope mail.read --expires 1h",
    options: [
      required("--from <user|delegation>", "the person who grants, or the delegation that is passed on"),
      required("--to <agent>", "id of the agent that receives it"),
      required("--resource <uri>", "audience of the resource, such as https://mail.example.com"),
      repeated("--scope <scope>", "what it may do there, at least one").makeOptionMandatory(),
      detailsOption("which tool calls it is limited to; without it, as its parent"),
      optional(
        "--expires <duration>",
        "how long: 90s, 30m, 1h, 7d; without it an hour, or until its parent ends",
      ),
      optional(
        "--max-depth <hops>",
        "how many further hops may follow; without it none, or one less than a parent's",
      ),
      repeated(
        "--budget <unit=amount>",
        "how many tokens it may get, calls it may make, rows and money (in smallest units) these may take: tokens=100, calls=100, rows=100, spend:EUR=1250; moves to it from its parent",
      ),
      repeated(
        "--onward <target>",
        "an agent that may exchange a token of it, for this resource and scope unless others are named: " +
          '"agt_01k9…", "agt_01k9… https://calendar.example.com", "agt_01k9… https://… calendar.read". ' +
          "A scope must be one of this delegation and exist on both resources; needs --max-depth 1 or more",
      ),
      optional(
        "--session <id>",
        "binds it, and all below it, to a session: none of another is used in one transaction with it",
      ),
      optional("--exclusive", "no other user's authority is used in one transaction with it, or any below"),
      optional("--key <file>", "key file of the agent that passes its delegation on"),
      optional("--agent <agent>", "whose key that is, when the file does not say"),
    ],
    given: givenSchema,
    run: async (given) => {
      const terms = await termsOf(cli, given);
      const { client, scope, origin } = await grantorOf(cli, given);
      const made = await client.perform(createDelegation, { body: { ...origin, ...terms }, scope });
      return answerOf(made);
    },
  });
}

function answerOf(made: z.output<typeof createDelegation.answer>): Answer {
  return {
    json: { id: made.id, expiresAt: made.expires_at, maxDepth: made.max_depth, ledger: made.ledger },
    text: table([
      ["delegation", made.id],
      ["to", made.grantee_agent],
      ["resource", made.resource],
      ["scope", made.scope.join(" ")],
      ["until", made.expires_at],
      ...termRows(made),
      ...originRows(made),
    ]),
    recorded: made.ledger,
  };
}

async function grantorOf(cli: Cli, { from, key, agent }: Given) {
  if (from.startsWith("usr_")) {
    if (key !== undefined)
      throw new UsageError("--key goes with a delegation; a person's grant is asserted by you");
    return { client: await operatorClient(cli), scope: "admin", origin: { from_user: from } } as const;
  }
  if (!from.startsWith("dlg_")) throw new UsageError("--from is a user (usr_…) or a delegation (dlg_…)");
  if (key === undefined)
    throw new UsageError("--key is the key file of the agent that passes its delegation on");
  return {
    client: await agentClient(cli, agent, key),
    scope: "delegate",
    origin: { parent: from },
  } as const;
}

async function termsOf(cli: Cli, given: Given): Promise<Terms> {
  const { to, resource, scope, details, expires, maxDepth, budget, onward, session, exclusive } = given;
  return {
    to_agent: to,
    resource,
    scope,
    ...(details !== undefined && { authorization_details: await readDetails(details) }),
    ...(expires !== undefined && { expires_at: new Date(cli.now() + expires * 1000).toISOString() }),
    ...(maxDepth !== undefined && { max_depth: maxDepth }),
    ...(budget.length > 0 && { budget: budgetOf(budget) }),
    ...(onward.length > 0 && {
      onward: onward.map((target) => ({
        agent: target.agent,
        resource: target.resource ?? resource,
        scope: target.scope.length > 0 ? target.scope : scope,
      })),
    }),
    ...(session !== undefined && { session }),
    ...(exclusive !== undefined && { exclusive }),
  };
}

function budgetOf(allowances: readonly string[]): Record<string, number> {
  const pairs = allowances.map((allowance) => allowance.split("="));
  return Object.fromEntries(pairs.map(([unit = "", amount]) => [unit, Number(amount)]));
}
