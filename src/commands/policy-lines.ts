import { readFile } from "node:fs/promises";
import type { Client } from "@countersign/sdk/client/client";
import { getPolicy } from "@countersign/sdk/contract/policies";
import { z } from "zod";
import { diffPolicies, type PolicyChange } from "../policy/diff.ts";
import { readShippedPolicy } from "../policy/policy-files.ts";
import { loadPolicy, PolicyRefused, type PolicySnapshot, readPolicy } from "../policy/snapshot.ts";
import { type Cli, CommandError, UsageError } from "./cli.ts";
import { issuerOf } from "./connection.ts";

/** An argument that names a version. */
export const aVersionNumber = z
  .string()
  .regex(/^[1-9]\d{0,8}$/, "must be the number of a version, as `policy list` tells it");

/** The policy that these lines are. @throws CommandError with every line that is wrong */
export async function loadLines(policy: string, issuer: string): Promise<PolicySnapshot> {
  const { model } = await readShippedPolicy();
  return loadPolicy({ model, policy, issuer }).catch((error: unknown) => {
    throw error instanceof PolicyRefused ? new CommandError("policy_refused", error.message, error) : error;
  });
}

/** What a policy says otherwise than the one in force. */
export async function changesTo(cli: Cli, client: Client, after: string): Promise<readonly PolicyChange[]> {
  const { source: before, number } = await client.perform(getPolicy, { params: { number: "current" } });
  if (before === undefined) throw new CommandError("conflict", noLines(number));
  const { model } = await readShippedPolicy();
  const issuer = await issuerOf(cli, cli.readConfig());
  await loadLines(after, issuer);
  const linesOf = (policy: string) => readPolicy({ model, policy, issuer });
  return diffPolicies(linesOf(before), linesOf(after));
}

/** Changes, a few lines each. */
export function changesText(changes: readonly PolicyChange[]): string {
  return changes.map(changeText).join("\n") || "nothing";
}

function changeText({ of, name, before, after }: PolicyChange): string {
  const lines = [before !== undefined && `- ${before}`, after !== undefined && `+ ${after}`].filter(Boolean);
  return [`${of} ${name}`, ...lines].join("\n  ");
}

/** What to say where there is nothing to show. */
export function noLines(number: number): string {
  return `the lines of version ${number} were not kept: it is from before they were`;
}

/** @throws UsageError */
export async function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: unknown) => {
    throw new UsageError(`${path} can't be read`, { cause: error });
  });
}
