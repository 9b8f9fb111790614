import { parseOrganizationId } from "@countersign/sdk/model/ids";
import { z } from "zod";
import { type DecisionRequest, decisionActions, relations } from "../domain/decision.ts";

const value = z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]);
const requestSchema = z.strictObject({
  organization: z.string(),
  subject: z.string(),
  roles: z.array(z.string()),
  relation: z.enum(relations),
  resource: z.string(),
  action: z.enum(decisionActions),
  scope: z.string(),
  attributes: z.record(z.string(), value).optional(),
});
// What else was sealed, such as the call that it is about, no policy reads.
const inputSchema = z.looseObject({ requests: z.array(requestSchema).min(1) });

/**
 * The questions that a decision was the answer to, from the text of its input; undefined for a text that no input of ours
 * has. Whoever hands the text here has compared its hash.
 */
export function parseRecordedInput(
  text: string,
): readonly [DecisionRequest, ...DecisionRequest[]] | undefined {
  const requests = inputSchema.safeParse(parseJson(text)).data?.requests ?? [];
  const [first, ...others] = requests.flatMap(({ organization: name, ...request }) => {
    const organization = parseOrganizationId(name);
    return organization === undefined ? [] : [{ ...request, organization }];
  });
  return first === undefined || others.length + 1 < requests.length ? undefined : [first, ...others];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
