import {
  type ExplainDecisionRequestWire,
  type ExplainedDecisionWire,
  explainDecision,
  explainDecisionRequestSchema,
} from "@countersign/sdk/contract/explanations";
import type { Command } from "commander";
import { z } from "zod";
import { type Cli, table } from "./cli.ts";
import { operatorClient } from "./connection.ts";
import { anId, defineCommand, optional, repeated, required, someText } from "./define.ts";

type Explained = ExplainedDecisionWire;
type Unmet = Explained["nearest"][number]["unmet"][number];
type Condition = Explained["against"][number]["when"][number];

const members = explainDecisionRequestSchema.shape;
const anAttribute = someText.regex(/^[^=]+=/, "must be name=value").transform((text) => {
  const at = text.indexOf("=");
  return [text.slice(0, at), attributeValue(text.slice(at + 1))] as const;
});

/** `countersign policy explain`: why policy says what it says, and what it would say yes to. */
export function addPolicyExplain(policy: Command, cli: Cli): void {
  defineCommand(policy, cli, {
    usage: "explain",
    description:
      "what would be said to an agent, by which rule and delegation, what stands in the way, and the nearest that would be allowed",
    example:
      "--agent agt_01k9… --resource https://mail.example/ --scope mail.send --attribute action.amount=20",
    options: [
      required("--agent <agent>", "who would ask"),
      required("--resource <uri>", "for which resource"),
      required("--scope <scope>", "for which scope"),
      optional(
        "--action <action>",
        "token.exchange, token.issue, delegation.narrow or action.authorize; the first, unless told",
      ),
      optional("--delegation <delegation>", "by which it would be done; the first that holds, unless told"),
      repeated("--attribute <name=value>", "what else would be known"),
    ],
    given: z.object({
      agent: anId("agt_"),
      resource: someText,
      scope: members.scope,
      action: members.action,
      delegation: anId("dlg_").optional(),
      attribute: z.array(anAttribute).default([]),
    }),
    run: async ({ agent, resource, scope, action, delegation, attribute }) => {
      const body: ExplainDecisionRequestWire = {
        agent,
        resource,
        scope,
        action,
        ...(delegation !== undefined && { delegation }),
        ...(attribute.length > 0 && { attributes: Object.fromEntries(attribute) }),
      };
      const explained = await (await operatorClient(cli)).perform(explainDecision, { body });
      return { json: explained, text: textOf(explained) };
    },
  });
}

function attributeValue(text: string): string | number | boolean {
  if (text === "true" || text === "false") return text === "true";
  return /^-?(?:0|[1-9]\d{0,14})(?:\.\d{1,9})?$/.test(text) ? Number(text) : text;
}

function textOf(explained: Explained): string {
  const { given, effect, rule, reason, policy, obligations = [], obstacles, without } = explained;
  const duties = obligations.map(({ kind, rule: line }): [string, string] => [
    "obliges to",
    `${kind} by ${line}`,
  ]);
  const rows: [string, string][] = [
    ["given", given ? "yes" : "no"],
    ["decision", `${effect} by ${rule}: ${reason}`],
    ["policy", policy],
    ...duties,
    ...obstacles.map((text): [string, string] => ["in the way", text]),
    ...delegationRows(explained),
    ...explained.against.flatMap((line): [string, string][] => [
      ["against", `${line.effect} by ${line.rule}: ${line.reason}`],
      ...line.when.map((condition): [string, string] => ["", conditionText(condition)]),
    ]),
    ...(without ? [["without them", `${without.effect} by ${without.rule}`] satisfies [string, string]] : []),
    ...explained.nearest.map((one): [string, string] => ["nearest", nearestText(one)]),
  ];
  return table(rows);
}

function delegationRows({ delegation }: Explained): [string, string][] {
  if (delegation === undefined) return [["delegation", "none"]];
  const { path, subject, narrowed } = delegation;
  return [
    ["delegation", `${path.join(" > ")}, from ${subject}`],
    ...narrowed.map(({ delegation: by, dimension, from, to }): [string, string] => [
      "narrowed",
      `by ${by}: ${dimension} ${from === undefined ? "" : `from ${from} `}to ${to}`,
    ]),
  ];
}

function nearestText({ rule, unmet, would }: Explained["nearest"][number]): string {
  const wishes = unmet.map(wishText).join(", and ");
  if (would === undefined) return `rule ${rule} asks that ${wishes}; the policy itself tells otherwise`;
  if (would.effect === "allow") return `rule ${would.rule} would allow it if ${wishes}`;
  return `rule ${rule} would allow it if ${wishes}, but then ${would.rule} says ${would.effect}`;
}

function wishText(unmet: Unmet): string {
  switch (unmet.of) {
    case "subject":
      return `the subject were ${unmet.asks}, or had that role`;
    case "condition":
      return conditionText(unmet);
    default:
      return `the ${unmet.of} were ${unmet.asks}`;
  }
}

function conditionText({ asks, has, holds }: Condition): string {
  const known = has === undefined ? "nothing is known of it" : `it is ${has}`;
  return `${asks} (${holds === "unknown" ? "can't be told" : holds}: ${known})`;
}
