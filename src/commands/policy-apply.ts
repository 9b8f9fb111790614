import type { Client } from "@countersign/sdk/client/client";
import { signPolicyApplication } from "@countersign/sdk/client/policies";
import { applyPolicy, getPolicy } from "@countersign/sdk/contract/policies";
import {
  approvePolicy,
  getPolicyProposal,
  listPolicyProposals,
  proposePolicy,
  withdrawPolicy,
} from "@countersign/sdk/contract/policy-proposals";
import { parseId } from "@countersign/sdk/model/ids";
import { parseSpiffeId, principalOf, trustDomainOf } from "@countersign/sdk/model/spiffe-id";
import type { Command } from "commander";
import { z } from "zod";
import { askGiven, declined } from "./ask-first.ts";
import { type Answer, type Cli, CommandError, table, UsageError } from "./cli.ts";
import { operatorClient, operatorIdentity } from "./connection.ts";
import { anId, defineCommand, optional, someText } from "./define.ts";
import { pageAnswer, pageGiven, pageOptions } from "./list.ts";
import { flipsUnder, lastGiven, lastOption } from "./policy-flips.ts";
import { aVersionNumber, loadLines, noLines, readText } from "./policy-lines.ts";

/** What bringing a policy into force shows first. */
const applyOptions = () => [
  optional("--yes", "do not show it first and ask, as is done at a terminal"),
  optional("--dry-run", "only show which decisions would have been others"),
  lastOption(),
];
const applyGiven = { ...askGiven, ...lastGiven };

/** `countersign policy flips|apply|rollback`: how another version comes into force. */
export function addPolicyApplyCommands(policy: Command, cli: Cli): void {
  defineCommand(policy, cli, {
    usage: "flips <file>",
    description:
      "which of the last decisions would have been others under a policy than under the one in force",
    example: "my-policy.csv --last 5000",
    options: [lastOption()],
    given: z.object({ file: someText, ...lastGiven }),
    run: async ({ file, last }) => flipsUnder(await operatorClient(cli), await readText(file), last),
  });
  defineCommand(policy, cli, {
    usage: "apply <file>",
    description: "bring a policy into force; what you sign is its hash, and the one it follows",
    example: "my-policy.csv",
    options: applyOptions(),
    given: z.object({ file: someText, ...applyGiven }),
    run: async ({ file, ...asked }) => apply(cli, await operatorClient(cli), await readText(file), asked),
  });
  defineCommand(policy, cli, {
    usage: "rollback <number>",
    description: "bring the lines of an earlier version into force again, as the next version",
    example: "3",
    options: applyOptions(),
    given: z.object({ number: aVersionNumber, ...applyGiven }),
    run: async ({ number, ...asked }) => {
      const client = await operatorClient(cli);
      const { source, number: shown } = await client.perform(getPolicy, { params: { number } });
      if (source === undefined) throw new CommandError("conflict", noLines(shown));
      return apply(cli, client, source, asked);
    },
  });
}

async function apply(cli: Cli, client: Client, source: string, asked: ApplyAsked): Promise<Answer> {
  const shown = await showFirst(cli, client, source, asked);
  if (shown !== undefined) return shown;
  const { hash: previous, two_person: isForTwo } = await currentOf(client);
  const signature = await signLines(cli, source, { previous });
  if (isForTwo) {
    const proposed = await client.perform(proposePolicy, { body: { source, signature } });
    const text = `proposed as ${proposed.id}: another operator brings it into force by \`policy approve ${proposed.id}\``;
    return { json: proposed, text, recorded: proposed.ledger };
  }
  return appliedAnswer(await client.perform(applyPolicy, { body: { source, signature } }));
}

const currentOf = (client: Client) => client.perform(getPolicy, { params: { number: "current" } });

/** What the operator signs of these lines: their hash, the one they follow, and which proposal it approves, if any. */
async function signLines(
  cli: Cli,
  source: string,
  follows: { readonly previous: string; readonly proposal?: string },
): Promise<string> {
  const identity = await operatorIdentity(cli);
  const spiffeId = parseSpiffeId(identity.clientId);
  const organization = spiffeId && principalOf(trustDomainOf(spiffeId), spiffeId)?.organization;
  if (organization === undefined) throw new UsageError(`${identity.clientId} is no operator`);
  const { hash } = await loadLines(source, identity.issuer);
  const proposal = follows.proposal === undefined ? undefined : parseId("proposal", follows.proposal);
  return signPolicyApplication(cli, identity, {
    organization,
    policy: hash,
    previous: follows.previous,
    ...(proposal !== undefined && { proposal }),
  });
}

function appliedAnswer(applied: z.output<typeof applyPolicy.answer>): Answer {
  const rows = table([
    ["version", applied.number],
    ["hash", applied.hash],
    ["in force since", applied.applied_at],
  ]);
  return { json: applied, text: rows, recorded: applied.ledger };
}

type ApplyAsked = Readonly<z.output<z.ZodObject<typeof applyGiven>>>;

/** Shows whoever sits at a terminal what would change, and asks. An answer is the command's: nothing is to be applied. */
async function showFirst(
  cli: Cli,
  client: Client,
  source: string,
  { yes, dryRun, last }: ApplyAsked,
): Promise<Answer | undefined> {
  if (!dryRun && (yes || !cli.isTerminal)) return undefined;
  const flips = await flipsUnder(client, source, last);
  if (dryRun) return flips;
  cli.note(flips.text);
  return (await cli.confirm("bring it into force?")) ? undefined : declined("nothing was changed");
}

/** `countersign policy proposals|approve|withdraw`: what waits for a second operator. */
export function addProposalCommands(policy: Command, cli: Cli): void {
  defineCommand(policy, cli, {
    usage: "proposals",
    description: "which policies were proposed, and what has become of them",
    example: "",
    options: pageOptions(),
    given: z.object(pageGiven(listPolicyProposals)),
    run: async ({ limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(listPolicyProposals, { query: { limit, cursor } });
      return pageAnswer(page, (one) => [one.id, one.status, one.proposed_at, one.proposed_by, one.hash]);
    },
  });
  defineCommand(policy, cli, {
    usage: "approve <id>",
    description: "bring what another operator proposed into force; you sign the same hashes",
    example: "prp_01k9…",
    options: applyOptions(),
    given: z.object({ id: anId("prp_"), ...applyGiven }),
    run: async ({ id, ...asked }) => {
      const client = await operatorClient(cli);
      const { source } = await client.perform(getPolicyProposal, { params: { id } });
      const shown = await showFirst(cli, client, source, asked);
      if (shown !== undefined) return shown;
      const { hash: previous } = await currentOf(client);
      const signature = await signLines(cli, source, { previous, proposal: id });
      return appliedAnswer(await client.perform(approvePolicy, { params: { id }, body: { signature } }));
    },
  });
  defineCommand(policy, cli, {
    usage: "withdraw <id>",
    description: "end a proposal, your own or another's",
    example: "prp_01k9…",
    given: z.object({ id: anId("prp_") }),
    run: async ({ id }) => {
      const withdrawn = await (await operatorClient(cli)).perform(withdrawPolicy, { params: { id } });
      return { json: withdrawn, text: `proposal ${id} is withdrawn`, recorded: withdrawn.ledger };
    },
  });
}
