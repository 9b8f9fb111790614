import { z } from "zod";
import { aHash } from "./action-report.ts";
import { anId, aTime, numberListQuery, pageOf, withLedger } from "./fields.ts";
import { operation } from "./operation.ts";

/** Of the text of a policy: more than 100,000 lines. */
export const policyCharsMax = 32 * 1024 * 1024;

/** The lines of a policy. */
export const aPolicyText = z.string().max(policyCharsMax);

/** Lines, and what an operator signed of them. */
export const aSignedPolicy = z.strictObject({ source: aPolicyText, signature: z.string().max(4096) });

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
  two_person: z.boolean().describe("Whether what follows it needs two operators."),
  approved_by: anId("operator").optional().describe("The second operator; absent where one sufficed."),
  approval: z.string().max(4096).optional().describe("What they signed of it."),
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

/** How many of the last decisions are looked back upon. */
export const lastDecisionsMax = 10_000;

const verdictSchema = z.strictObject({
  effect: z.enum(["allow", "deny", "needs_approval"]),
  rule: z.string().max(128).describe("The line that decides, or `default-deny`."),
  obliged_by: z.array(z.string().max(128)).describe("The lines that an allowance comes with."),
});
const aCount = z.int().nonnegative();

export const previewPolicy = operation({
  name: "previewPolicy",
  method: "post",
  path: "/v1/policies/preview",
  summary:
    "Tells which of the last decisions would have been others under this policy than under the one in force.",
  anyOf: ["admin"],
  asks: true,
  refusedWith: ["policy_refused"],
  bodyBytesMax: policyCharsMax,
  body: z.strictObject({
    source: aPolicyText,
    last: z.int().min(1).max(lastDecisionsMax).default(1000),
  }),
  answer: z.strictObject({
    policy: aHash.describe("Of the policy that was sent."),
    in_force: aHash,
    decisions: aCount.describe("Those that were looked back upon; the counts below are of them."),
    flipped: aCount.describe(
      "That would have been others: in their effect, or in what an allowance comes with.",
    ),
    other_rule: aCount.describe("That would have been the same, by another line."),
    erased: aCount.describe("Whose input is gone or can't be read."),
    flips: z
      .array(
        z.strictObject({
          index: z.int().nonnegative().describe("Of the entry in the organization's log."),
          before: verdictSchema.describe("Under the policy in force now, whichever was when it was decided."),
          after: verdictSchema,
        }),
      )
      .max(200)
      .describe("Newest first; at most 200."),
  }),
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
  body: aSignedPolicy,
  answer: policySchema.extend(withLedger),
});
