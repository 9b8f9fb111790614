import { z } from "zod";
import { aHash } from "./action-report.ts";
import { anAudience, anId } from "./fields.ts";
import { obligationsSchema } from "./obligation.ts";
import { operation } from "./operation.ts";

const aScopeToken = z
  .string()
  .max(128)
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, "must be one scope token");
const anAttributeName = z
  .string()
  .regex(
    /^(?:subject|resource|action|context)(?:\.[A-Za-z_][A-Za-z0-9_-]{0,63}){1,4}$/,
    "must be an attribute's name, such as action.amount",
  );
const aValue = z.string().max(2048);
const anEffect = z.enum(["allow", "deny", "needs_approval"]);
const aRule = z.string().max(128);
const aReason = z.string().max(1024);
const aCondition = {
  /** As the line spells it. */
  asks: z.string().max(8192),
  /** What is known of the attribute; absent where nothing is. */
  has: z.string().max(8192).optional(),
  holds: z
    .enum(["yes", "no", "unknown"])
    .describe("`unknown`: it can't be told, which is to nobody's advantage."),
};

/** What an agent would ask for. */
export const explainDecisionRequestSchema = z.strictObject({
  agent: anId("agent"),
  resource: anAudience,
  scope: aScopeToken,
  action: z
    .enum(["token.exchange", "token.issue", "delegation.narrow", "action.authorize"])
    .default("token.exchange"),
  delegation: anId("delegation")
    .exactOptional()
    .describe("By which it would be done; the first that holds and reaches so far, unless told."),
  attributes: z
    .record(anAttributeName, z.union([aValue, z.number(), z.boolean(), z.array(aValue).max(64)]))
    .refine((attributes) => Object.keys(attributes).length <= 64, "are at most 64")
    .exactOptional(),
});
export type ExplainDecisionRequestWire = z.input<typeof explainDecisionRequestSchema>;

/** One thing that a line asks for and the request does not have. */
const unmetSchema = z.union([
  z.strictObject({
    of: z.enum(["subject", "relation", "resource", "action", "scope"]),
    asks: z.string().max(8192),
    has: z.string().max(8192),
  }),
  z.strictObject({ of: z.literal("condition"), ...aCondition }),
]);

/** What would be said to an agent, and why. */
export const explainedDecisionSchema = z.strictObject({
  given: z
    .boolean()
    .describe("Whether it would be given now: policy allows it and nothing else stands in the way."),
  effect: anEffect,
  rule: aRule,
  reason: aReason,
  policy: aHash,
  obligations: obligationsSchema.optional(),
  obstacles: z.array(z.string().max(1024)).max(16).describe("What stands in the way whatever policy says."),
  delegation: z
    .strictObject({
      id: anId("delegation"),
      /** From the root to this one. */
      path: z.array(anId("delegation")).max(16),
      subject: anId("user"),
      narrowed: z
        .array(
          z.strictObject({
            delegation: anId("delegation"),
            dimension: z.string().max(32),
            from: z.string().max(1024).optional().describe("Absent where there was no such limit."),
            to: z.string().max(1024),
          }),
        )
        .max(80)
        .describe("Where authority narrowed, from the root on."),
    })
    .optional()
    .describe("By which it would be done; absent: by none."),
  against: z
    .array(
      z.strictObject({
        rule: aRule,
        effect: anEffect.exclude(["allow"]),
        reason: aReason,
        when: z.array(z.strictObject(aCondition)).max(8),
      }),
    )
    .max(20)
    .describe("The policy's lines that stand against it."),
  without: z
    .strictObject({ effect: anEffect, rule: aRule, reason: aReason })
    .optional()
    .describe("What would be said if none of these stood; absent where there is none."),
  nearest: z
    .array(
      z.strictObject({
        rule: aRule,
        reason: aReason,
        unmet: z.array(unmetSchema).max(16),
        would: z
          .strictObject({ effect: anEffect, rule: aRule })
          .optional()
          .describe("What would be said then; absent where the policy itself tells otherwise of an entity."),
      }),
    )
    .max(3)
    .describe("The lines that would allow it and fail by the fewest things."),
});
export type ExplainedDecisionWire = z.output<typeof explainedDecisionSchema>;

export const explainDecision = operation({
  name: "explainDecision",
  method: "post",
  path: "/v1/policies/explain",
  summary:
    "Tells what would be said to an agent that asks for one scope of a resource, and why; nothing is recorded.",
  anyOf: ["admin", "audit"],
  asks: true,
  refusedWith: ["not_found"],
  body: explainDecisionRequestSchema,
  answer: explainedDecisionSchema,
});
