import type { Client } from "@countersign/sdk/client/client";
import { lastDecisionsMax, previewPolicy } from "@countersign/sdk/contract/policies";
import { z } from "zod";
import { type Answer, table } from "./cli.ts";
import { optional } from "./define.ts";

/** How far to look back, for a command that shows what another policy would change. */
export const lastOption = () =>
  optional(
    "--last <count>",
    `how many decisions to look back upon, at most ${lastDecisionsMax}; 1000 unless told`,
  );

/** What `lastOption` was given. */
export const lastGiven = {
  last: z
    .string()
    .regex(/^[1-9]\d{0,4}$/, "must be a number of decisions")
    .transform(Number)
    .refine((count) => count <= lastDecisionsMax, `is more than ${lastDecisionsMax}`)
    .default(1000),
};

/** Which of the last decisions would have been others under a policy than under the one in force. */
export async function flipsUnder(client: Client, source: string, last: number): Promise<Answer> {
  const preview = await client.perform(previewPolicy, { body: { source, last } });
  const { decisions, flipped, other_rule: otherRule, erased, flips } = preview;
  const counts = table([
    ["decisions looked back upon", decisions],
    ["that would have been others", flipped],
    ["the same by another rule", otherRule],
    ["whose input is gone", erased],
  ]);
  const lines = flips.map(
    ({ index, before, after }) => `  entry ${index}: ${verdictText(before)} -> ${verdictText(after)}`,
  );
  const more = flipped > flips.length ? [`  and more: ${flipped} in all`] : [];
  return { json: preview, text: [counts, ...lines, ...more].join("\n") };
}

type Verdict = z.output<typeof previewPolicy.answer>["flips"][number]["before"];

function verdictText({ effect, rule, obliged_by: obligedBy }: Verdict): string {
  return [`${effect} by ${rule}`, ...(obligedBy.length > 0 ? [obligedBy.join(", ")] : [])].join(" with ");
}
