import type { Command } from "commander";
import { z } from "zod";
import { type PolicyCase, parseCases } from "../policy/cases.ts";
import { checkPolicy, testPolicy } from "../policy/check.ts";
import { readShippedPolicy } from "../policy/policy-files.ts";
import { loadPolicy } from "../policy/snapshot.ts";
import type { Cli } from "./cli.ts";
import { defineCommand, optional, someText } from "./define.ts";
import { addPolicyApplyCommands, addProposalCommands } from "./policy-apply.ts";
import { addPolicyExplain } from "./policy-explain.ts";
import { addPolicyLifeCommands } from "./policy-life.ts";
import { readText } from "./policy-lines.ts";
import { addPolicyReplay } from "./policy-replay.ts";

/** `countersign policy …` */
export function addPolicyCommands(program: Command, cli: Cli): void {
  const policy = program.command("policy").description("the rules that decide");
  addCheckCommand(policy, cli);
  addTestCommand(policy, cli);
  addPolicyLifeCommands(policy, cli);
  addPolicyApplyCommands(policy, cli);
  addProposalCommands(policy, cli);
  addPolicyReplay(policy, cli);
  addPolicyExplain(policy, cli);
}

function addCheckCommand(policy: Command, cli: Cli): void {
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

function addTestCommand(policy: Command, cli: Cli): void {
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
          `${name}: expected ${saidText(expected)}, got ${saidText(decision)}`,
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

/** What was said, or was to be said; with the obligations where they are told. */
function saidText({ effect, rule, obligations }: PolicyCase["expected"]): string {
  const told = (obligations ?? []).map((one) => Object.values(one).join(" "));
  return [`${effect} by ${rule}`, ...(told.length > 0 ? [told.join(", ")] : [])].join(" with ");
}
