import { readFile } from "node:fs/promises";
import type { Client } from "@countersign/sdk/client/client";
import { signPolicyApplication } from "@countersign/sdk/client/policies";
import { applyPolicy, getPolicy, listPolicies } from "@countersign/sdk/contract/policies";
import { parseSpiffeId, principalOf, trustDomainOf } from "@countersign/sdk/model/spiffe-id";
import type { Command } from "commander";
import { z } from "zod";
import { diffPolicies, type PolicyChange } from "../policy/diff.ts";
import { readShippedPolicy } from "../policy/policy-files.ts";
import { loadPolicy, PolicyRefused, type PolicySnapshot, readPolicy } from "../policy/snapshot.ts";
import { type Answer, type Cli, CommandError, table, UsageError } from "./cli.ts";
import { issuerOf, operatorClient, operatorIdentity } from "./connection.ts";
import { defineCommand, someText } from "./define.ts";
import { pageAnswer, pageGiven, pageOptions } from "./list.ts";

const aNumber = z
  .string()
  .regex(/^[1-9]\d{0,8}$/, "must be the number of a version, as `policy list` tells it");

/** `countersign policy show|list|diff|apply|rollback`: the versions that a server decides by. */
export function addPolicyLifeCommands(policy: Command, cli: Cli): void {
  addReading(policy, cli);
  addChanging(policy, cli);
}

function addReading(policy: Command, cli: Cli): void {
  defineCommand(policy, cli, {
    usage: "list",
    description: "which versions came into force, when and by whom",
    example: "",
    options: pageOptions(),
    given: z.object(pageGiven(listPolicies)),
    run: async ({ limit, cursor }) => {
      const client = await operatorClient(cli);
      const page = await client.perform(listPolicies, { query: { limit, cursor } });
      return pageAnswer(page, (one) => [
        String(one.number),
        one.applied_at,
        one.applied_by ?? "the server",
        one.hash,
      ]);
    },
  });
  defineCommand(policy, cli, {
    usage: "show [number]",
    description: "the lines of a version; without a number, of the one in force",
    example: "3",
    given: z.object({ number: aNumber.optional() }),
    run: async ({ number = "current" }) => {
      const shown = await (await operatorClient(cli)).perform(getPolicy, { params: { number } });
      return { json: shown, text: shown.source?.trimEnd() ?? noLines(shown.number) };
    },
  });
  defineCommand(policy, cli, {
    usage: "diff <file>",
    description: "what a policy says otherwise than the one in force",
    example: "my-policy.csv",
    given: z.object({ file: someText }),
    run: async ({ file }) => {
      const changes = await changesTo(cli, await operatorClient(cli), await readText(file));
      return { json: { changes }, text: changes.map(changeText).join("\n") || "nothing" };
    },
  });
}

function addChanging(policy: Command, cli: Cli): void {
  defineCommand(policy, cli, {
    usage: "apply <file>",
    description: "bring a policy into force; what you sign is its hash, and the one it follows",
    example: "my-policy.csv",
    given: z.object({ file: someText }),
    run: async ({ file }) => apply(cli, await operatorClient(cli), await readText(file)),
  });
  defineCommand(policy, cli, {
    usage: "rollback <number>",
    description: "bring the lines of an earlier version into force again, as the next version",
    example: "3",
    given: z.object({ number: aNumber }),
    run: async ({ number }) => {
      const client = await operatorClient(cli);
      const { source, number: shown } = await client.perform(getPolicy, { params: { number } });
      if (source === undefined) throw new CommandError("conflict", noLines(shown));
      return apply(cli, client, source);
    },
  });
}

async function apply(cli: Cli, client: Client, source: string): Promise<Answer> {
  const identity = await operatorIdentity(cli);
  const spiffeId = parseSpiffeId(identity.clientId);
  const organization = spiffeId && principalOf(trustDomainOf(spiffeId), spiffeId)?.organization;
  if (organization === undefined) throw new UsageError(`${identity.clientId} is no operator`);
  const { hash } = await load(source, identity.issuer);
  const { hash: previous } = await client.perform(getPolicy, { params: { number: "current" } });
  const signature = await signPolicyApplication(cli, identity, { organization, policy: hash, previous });
  const applied = await client.perform(applyPolicy, { body: { source, signature } });
  const rows = table([
    ["version", applied.number],
    ["hash", applied.hash],
    ["in force since", applied.applied_at],
  ]);
  return { json: applied, text: rows, recorded: applied.ledger };
}

/** @throws CommandError with every line that is wrong */
async function load(policy: string, issuer: string): Promise<PolicySnapshot> {
  const { model } = await readShippedPolicy();
  return loadPolicy({ model, policy, issuer }).catch((error: unknown) => {
    throw error instanceof PolicyRefused ? new CommandError("policy_refused", error.message, error) : error;
  });
}

async function changesTo(cli: Cli, client: Client, after: string): Promise<readonly PolicyChange[]> {
  const { source: before, number } = await client.perform(getPolicy, { params: { number: "current" } });
  if (before === undefined) throw new CommandError("conflict", noLines(number));
  const { model } = await readShippedPolicy();
  const issuer = await issuerOf(cli, cli.readConfig());
  await load(after, issuer);
  const linesOf = (policy: string) => readPolicy({ model, policy, issuer });
  return diffPolicies(linesOf(before), linesOf(after));
}

function changeText({ of, name, before, after }: PolicyChange): string {
  const lines = [before !== undefined && `- ${before}`, after !== undefined && `+ ${after}`].filter(Boolean);
  return [`${of} ${name}`, ...lines].join("\n  ");
}

function noLines(number: number): string {
  return `the lines of version ${number} were not kept: it is from before they were`;
}

async function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: unknown) => {
    throw new UsageError(`${path} can't be read`, { cause: error });
  });
}
