import { z } from "zod";
import { aHash } from "./action-report.ts";
import { anId, aTime, numberListQuery, pageOf, withLedger } from "./fields.ts";
import { operation } from "./operation.ts";

/** Of the text of a policy: more than 100,000 lines. */
export const policyCharsMax = 32 * 1024 * 1024;

const aPolicyText = z.string().max(policyCharsMax);

/** A version of an organization's policy, from when it came into force. */
export const policySchema = z.strictObject({
  hash: aHash.describe("SHA-256 of its canonical text."),
  id: z.string().max(10).describe("The number as text: the cursor of the next page."),
  number: z
    .int()
    .positive()
    .describe("1 is the organization's first; each that comes into force is the next."),
  applied_at: aTime,
  applied_by: anId("operator").optional().describe("Absent: the server, which came with it."),
  signature: z
    .string()
    .max(4096)
    .optional()
    .describe("What they signed of it: a JWT of type `policy-application+jwt`."),
});

export const policyWithSourceSchema = policySchema.extend({
  source: aPolicyText
    .optional()
    .describe(
      "Its lines as they were applied, comments included; absent of a version from before these were kept.",
    ),
});

export const getPolicy = operation({
  name: "getPolicy",
  method: "get",
  path: "/v1/policies/{number}",
  summary: "Shows a version of the policy with its lines; `current` is the one in force.",
  anyOf: ["admin", "audit"],
  params: z.strictObject({
    number: z.union([
      z.literal("current"),
      z.string().regex(/^[1-9]\d{0,8}$/, "must be a version's number, or `current`"),
    ]),
  }),
  answer: policyWithSourceSchema,
});

export const listPolicies = operation({
  name: "listPolicies",
  method: "get",
  path: "/v1/policies",
  summary: "Lists the versions of the policy, from the first on.",
  anyOf: ["admin", "audit"],
  query: numberListQuery,
  answer: pageOf(policySchema),
});

export const applyPolicy = operation({
  name: "applyPolicy",
  method: "post",
  path: "/v1/policies",
  summary:
    "Brings a policy into force, which its applicant signed as the one that follows the one in force now.",
  anyOf: ["admin"],
  status: 201,
  refusedWith: ["policy_refused", "conflict"],
  bodyBytesMax: policyCharsMax,
  body: z.strictObject({
    source: aPolicyText,
    signature: z.string().max(4096),
  }),
  answer: policySchema.extend(withLedger),
});
