import { canonicalJson } from "@countersign/sdk/model/canonical-json";
import { parseOrganizationId } from "@countersign/sdk/model/ids";
import { z } from "zod";
import { type DecisionRequest, decisionActions, relations } from "../domain/decision.ts";

const texts = z.array(z.string());
const requestSchema = z.strictObject({
  organization: z.string().transform((value, context) => {
    const organization = parseOrganizationId(value);
    if (organization !== undefined) return organization;
    context.addIssue("must be an organization's id");
    return z.NEVER;
  }),
  subject: z.string(),
  roles: texts,
  relation: z.enum(relations),
  resource: z.string(),
  action: z.enum(decisionActions),
  scope: z.string(),
  attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), texts])).optional(),
});
const inputSchema = z.strictObject({
  salt: z.string(),
  requests: z.array(requestSchema).min(1),
  call: z.json().optional(),
});

/**
 * The questions that a decision's input holds, as decideAll() sealed it.
 *
 * @throws TypeError for a text that no input of ours has
 */
export function questionsIn(text: string): readonly DecisionRequest[] {
  try {
    const value: unknown = JSON.parse(text);
    const { requests } = inputSchema.parse(value);
    // Read and written again it is the same text: there is no member that another reader would find in place of ours.
    if (canonicalJson(z.json().parse(value)) === text) return requests;
  } catch (error) {
    throw new TypeError("the text is not that of a decision's input", { cause: error });
  }
  throw new TypeError("the decision's input is not canonical JSON");
}
