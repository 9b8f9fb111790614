import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { z } from "zod";
import { parseCases } from "../policy/cases.ts";
import { checkPolicy, testPolicy } from "../policy/check.ts";
import { readShippedPolicy } from "../policy/policy-files.ts";
import { loadPolicy } from "../policy/snapshot.ts";
import { type Cli, UsageError } from "./cli.ts";
import { defineCommand, optional, someText } from "./define.ts";
import { addPolicyExplain } from "./policy-explain.ts";
import { addPolicyLifeCommands } from "./policy-life.ts";
import { addPolicyReplay } from "./policy-replay.ts";

/** `countersign policy …` */
export function addPolicyCommands(program: Command, cli: Cli): void {
  const policy = program.command("policy").description("the rules that decide");
  addCheck(policy, cli);
  addTest(policy, cli);
  addPolicyLifeCommands(policy, cli);
  addPolicyReplay(policy, cli);
  addPolicyExplain(policy, cli);
}

function addCheck(policy: Command, cli: Cli): void {
  defineCommand(policy, cli, {
    usage: "check [file]",
    description: "check a policy, line by line; without a file, the one that Countersign ships with",
    example: "my-policy.csv",
    given: z.object({ file: someText.optional() }),
    run: async ({ file }) => {
      const problems = checkPolicy(await sourceOf(cli, file));
      const lines = problems.map(({ line, reason }) => (line === 0 ? reason : `line ${line}: ${reason}`));
      return {
        json: { ok: problems.length === 0, problems },
        text: problems.length === 0 ? "the policy is sound" : lines.join("\n"),
        refused: problems.length > 0,
      };
    },
  });
}

function addTest(policy: Command, cli: Cli): void {
  defineCommand(policy, cli, {
    usage: "test [file]",
    description: "hold a policy against a table of cases",
    example: "my-policy.csv --cases my-cases.yaml",
    options: [optional("--cases <file>", "the table; without it, the one that Countersign ships with")],
    given: z.object({ file: someText.optional(), cases: someText.optional() }),
    run: async ({ file, cases }) => {
      const source = await sourceOf(cli, file);
      const table = cases === undefined ? (await readShippedPolicy()).cases : await readText(cases);
      const { outcomes, untestedRules } = testPolicy(
        await loadPolicy(source),
        parseCases(table, source.issuer),
      );
      const wrong = outcomes.filter(({ isAsExpected }) => !isAsExpected);
      const lines = wrong.map(
        ({ policyCase: { name, expected }, decision }) =>
          `${name}: expected ${expected.effect} by ${expected.rule}, got ${decision.effect} by ${decision.rule}`,
      );
      const failures = wrong.map(({ policyCase: { name, expected }, decision }) => ({
        name,
        expected,
        decision,
      }));
      return {
        json: { ok: wrong.length === 0, cases: outcomes.length, failures, untestedRules },
        text: [`${outcomes.length - wrong.length} of ${outcomes.length} cases as expected`, ...lines].join(
          "\n",
        ),
        refused: wrong.length > 0,
      };
    },
  });
}

async function sourceOf(cli: Cli, file: string | undefined) {
  const { model, policy } = await readShippedPolicy();
  return {
    model,
    policy: file === undefined ? policy : await readText(file),
    issuer: cli.readConfig().issuer,
  };
}

async function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: unknown) => {
    throw new UsageError(`${path} can't be read`, { cause: error });
  });
}
