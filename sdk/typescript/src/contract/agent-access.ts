import { z } from "zod";
import { aBudgetLeft, delegationSchema } from "./delegations.ts";
import { anId, aStatus, idParams, listQueryOf } from "./fields.ts";
import { operation } from "./operation.ts";

/** What would be answered now, and by which rule of the policy. */
const policyAnswer = {
  effect: z.enum(["allow", "deny", "needs_approval"]),
  rule: z
    .string()
    .max(128)
    .optional()
    .describe("Absent where policy allows it, but the delegation's budget is spent."),
  reason: z.string().max(1024),
};
/** What it says to a token of each scope. */
const scopeAnswers = z
  .array(
    z.strictObject({
      scope: z.string().max(128),
      ...policyAnswer,
      acting: z.strictObject(policyAnswer).describe("What it says to an action under such a token."),
    }),
  )
  .max(64);

/** Who handed a delegation down: the User first, then each Agent with the delegation that it holds itself. */
const grantors = z
  .array(
    z.union([
      z.strictObject({ user: anId("user") }),
      z.strictObject({ agent: anId("agent"), owner: anId("user"), delegation: anId("delegation") }),
    ]),
  )
  .max(16);

/** A live delegation, and what is said to its redemption. */
export const delegatedAccessSchema = z.strictObject({
  by: z.literal("delegation"),
  delegation: delegationSchema,
  budget_left: aBudgetLeft,
  grantors,
  scopes: scopeAnswers,
});
/** What policy gives an Agent directly on one resource. */
export const directAccessSchema = z.strictObject({
  by: z.literal("policy"),
  resource: z.string().max(512),
  scopes: scopeAnswers,
});
export const agentAccessPageSchema = z.strictObject({
  agent: anId("agent"),
  /** As the agent itself has it: one that is not active may do nothing. */
  status: aStatus,
  status_reason: z.string().max(1024).optional(),
  items: z.array(z.union([delegatedAccessSchema, directAccessSchema])).max(200),
  next: z
    .string()
    .max(64)
    .optional()
    .describe("The cursor of the following page, absent on the last; a short or an empty page may have one."),
});
export type AgentAccessPageWire = z.infer<typeof agentAccessPageSchema>;

export const getAgentAccess = operation({
  name: "getAgentAccess",
  method: "get",
  path: "/v1/agents/{id}/access",
  summary:
    "Tells what an agent may do now and why: by each live delegation, and by what policy gives it directly.",
  anyOf: ["admin"],
  params: idParams("agent"),
  query: listQueryOf("delegation", "resource"),
  answer: agentAccessPageSchema,
});
