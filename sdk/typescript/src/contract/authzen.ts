import { z } from "zod";
import { aHash } from "./action-report.ts";
import { anId } from "./fields.ts";
import { operation } from "./operation.ts";

/** How many questions one request may hold. */
export const evaluationsMax = 500;

const aType = z.string().min(1).max(64);
const aText = z.string().min(1).max(2048);
/** What an asker says of one thing; what is no attribute is passed over. */
const properties = z.record(z.string(), z.unknown());

/** Somebody or something. Members that are not known are passed over, as the specification wants. */
const entitySchema = z.looseObject({ type: aType, id: aText, properties: properties.optional() });
const actionSchema = z.looseObject({ name: aText, properties: properties.optional() });

/** One question: whether the subject may do the action to the resource. */
export const evaluationRequestSchema = z.looseObject({
  subject: entitySchema,
  action: actionSchema,
  resource: entitySchema,
  context: properties.optional(),
});
export type EvaluationRequestWire = z.infer<typeof evaluationRequestSchema>;

/** What an allowance comes with: the resource server has to see to it. */
const obligationSchema = z.strictObject({
  kind: z.enum(["step_up", "redact", "rate", "notify"]),
  rule: z.string().max(64),
  field: z.string().max(128).optional(),
  times: z.int().positive().optional(),
  per_seconds: z.int().positive().optional(),
  whom: z.string().max(128).optional(),
});

/** The answer to one question, and why. */
export const evaluationSchema = z.strictObject({
  decision: z.boolean(),
  context: z
    .strictObject({
      reason: z.string().max(1024).optional(),
      rule: z
        .string()
        .max(64)
        .optional()
        .describe("The line of the policy that decides; absent: the policy was not asked."),
      policy: aHash.optional().describe("The version of the policy."),
      effect: z
        .literal("needs_approval")
        .optional()
        .describe("It would be allowed once somebody approved; until then it is not."),
      obligations: z.array(obligationSchema).max(64).optional(),
      delegation: anId("delegation").optional().describe("By which the agent may, or by which it does not."),
      error: z
        .strictObject({ status: z.int(), message: z.string().max(2048) })
        .optional()
        .describe("Why one of several questions can't be answered."),
    })
    .optional(),
});
export type EvaluationWire = z.infer<typeof evaluationSchema>;

/** @see AuthZEN Authorization API 1.0, section 6 */
export const evaluateAccess = operation({
  name: "evaluateAccess",
  method: "post",
  path: "/access/v1/evaluation",
  summary: "Answers whether somebody may do something to something, and why.",
  asks: true,
  anyOf: ["evaluate"],
  body: evaluationRequestSchema,
  answer: evaluationSchema,
});

/** Each question, with what it leaves out taken from beside the list. What is no question is answered as that. */
export const evaluationsRequestSchema = z.looseObject({
  evaluations: z.array(z.unknown()).max(evaluationsMax).optional(),
  options: z
    .looseObject({
      evaluations_semantic: z
        .enum(["execute_all", "deny_on_first_deny", "permit_on_first_permit"])
        .optional(),
    })
    .optional(),
});
export type EvaluationsRequestWire = z.infer<typeof evaluationsRequestSchema>;

/** @see AuthZEN Authorization API 1.0, section 7 */
export const evaluateAccesses = operation({
  name: "evaluateAccesses",
  method: "post",
  path: "/access/v1/evaluations",
  summary: "Answers several such questions; as many as it takes where the first yes or no is to end it.",
  asks: true,
  anyOf: ["evaluate"],
  bodyBytesMax: 1024 * 1024,
  body: evaluationsRequestSchema,
  answer: z.union([
    z.strictObject({ evaluations: z.array(evaluationSchema).max(evaluationsMax) }),
    evaluationSchema,
  ]),
});

const pageMax = 200;
const page = z
  .looseObject({
    limit: z
      .int()
      .min(1)
      .transform((limit) => Math.min(limit, pageMax))
      .optional(),
    token: z.string().max(8192).optional(),
  })
  .optional();
/** What is looked for: all of one type. */
const wantedSchema = z.looseObject({ type: aType, properties: properties.optional() });
const circumstances = { context: properties.optional(), page };

export const searchSubjectsRequestSchema = z.looseObject({
  subject: wantedSchema,
  action: actionSchema,
  resource: entitySchema,
  ...circumstances,
});
export const searchResourcesRequestSchema = z.looseObject({
  subject: entitySchema,
  action: actionSchema,
  resource: wantedSchema,
  ...circumstances,
});
export const searchActionsRequestSchema = z.looseObject({
  subject: entitySchema,
  resource: entitySchema,
  ...circumstances,
});

const pageOf = <Result extends z.ZodType>(result: Result) =>
  z.strictObject({
    results: z.array(result).max(pageMax),
    page: z.strictObject({
      next_token: z
        .string()
        .max(8192)
        .describe("Of the next page; empty on the last. A short page may have one."),
      count: z.int().nonnegative(),
    }),
  });
const foundEntities = pageOf(z.strictObject({ type: aType, id: aText }));
const foundActions = pageOf(z.strictObject({ name: aText }));

/** @see AuthZEN Authorization API 1.0, section 8.4 */
export const searchSubjects = operation({
  name: "searchSubjects",
  method: "post",
  path: "/access/v1/search/subject",
  summary: "Finds who of one type may do something to something.",
  asks: true,
  anyOf: ["evaluate"],
  body: searchSubjectsRequestSchema,
  answer: foundEntities,
});

/** @see AuthZEN Authorization API 1.0, section 8.5 */
export const searchResources = operation({
  name: "searchResources",
  method: "post",
  path: "/access/v1/search/resource",
  summary: "Finds to what of one type somebody may do something.",
  asks: true,
  anyOf: ["evaluate"],
  body: searchResourcesRequestSchema,
  answer: foundEntities,
});

/** @see AuthZEN Authorization API 1.0, section 8.6 */
export const searchActions = operation({
  name: "searchActions",
  method: "post",
  path: "/access/v1/search/action",
  summary: "Finds what somebody may do to something.",
  asks: true,
  anyOf: ["evaluate"],
  body: searchActionsRequestSchema,
  answer: foundActions,
});
