import { z } from "zod";
import { type AuthorizationDetails, authorizationDetailsTypes } from "../model/authorization-details.ts";
import {
  anAudience,
  anId,
  anOrganization,
  aScope,
  aStatus,
  aTime,
  idParams,
  listQueryOf,
  pageOf,
  withLedger,
} from "./fields.ts";
import { operation } from "./operation.ts";
import { reachNowSchema } from "./reach.ts";
import { revocationReceiptSchema } from "./revocation-receipt.ts";

const aBudget = z.record(z.string().regex(/^[a-z][a-z0-9_]{0,31}(?::[A-Z]{3})?$/), z.int().nonnegative());
const onwardTargets = z
  .array(z.strictObject({ agent: anId("agent"), resource: anAudience, scope: aScope }))
  .max(16);
const aSession = z.string().regex(/^[A-Za-z0-9._~:-]{1,128}$/, "must be 1 to 128 of A-Z a-z 0-9 . _ ~ : -");
/** Taken as they are sent: narrowing reads them, so that what it refuses is recorded and told by its member. */
const someDetails = z
  .custom<AuthorizationDetails>()
  .transform((sent): unknown => sent)
  .meta({
    type: "array",
    items: { type: "object", properties: { type: { enum: [...authorizationDetailsTypes] } } },
    maxItems: 64,
    description: "RFC 9396, of type `tool_call`.",
  });
const grantMembers = {
  to_agent: anId("agent"),
  resource: anAudience,
  scope: aScope,
  expires_at: aTime
    .optional()
    .describe("At the parent's end or in an hour, whichever comes first, unless said."),
  max_depth: z.int().min(0).max(15).optional().describe("How many further hops it may be passed on."),
  authorization_details: someDetails.optional(),
  budget: aBudget
    .optional()
    .describe(
      "In `tokens`, `calls`, `rows`, and `spend:EUR` and the like in smallest units; a child's is moved from its parent.",
    ),
  onward: onwardTargets
    .optional()
    .describe("Who may redeem an access token of it by RFC 8693, and for what."),
  session: aSession
    .optional()
    .describe("Binds it, and all below, to a session: no other one's is used in the same transaction."),
  exclusive: z
    .boolean()
    .optional()
    .describe("Keeps it, and all below, apart: no other User's authority is used in the same transaction."),
};
/** A root grant: an operator asserts that the User `from_user` wishes it. */
export const grantRequestSchema = z.strictObject({ from_user: anId("user"), ...grantMembers });
export type GrantRequestWire = z.infer<typeof grantRequestSchema>;
/** A child grant: the grantee of `parent` passes a part of it on, under its own token. */
export const narrowRequestSchema = z.strictObject({ parent: anId("delegation"), ...grantMembers });
export type NarrowRequestWire = z.infer<typeof narrowRequestSchema>;
export const delegateRequestSchema = z.union([grantRequestSchema, narrowRequestSchema]);
export const delegationSchema = z.strictObject({
  id: anId("delegation"),
  organization: anOrganization,
  root: anId("delegation"),
  parent: anId("delegation").optional(),
  /** Delegation ids from the root to this one. */
  path: z.array(anId("delegation")).max(16),
  subject: anId("user"),
  grantor_agent: anId("agent").optional(),
  grantee_agent: anId("agent"),
  resource: z.string().max(512),
  scope: z.array(z.string().max(128)).max(64),
  authorization_details: z.array(z.unknown().meta({ description: "As RFC 9396 says." })).max(64),
  budget: aBudget,
  onward: onwardTargets,
  session: aSession.optional(),
  exclusive: z.boolean(),
  max_depth: z.int().nonnegative(),
  expires_at: aTime,
  /** What it comes to: a delegation below a revoked one, or of a suspended agent, is inactive. */
  status: aStatus,
  /** Why it is not active. */
  status_reason: z.string().max(1024).optional(),
  asserted_by: anId("operator").optional(),
  /** `jti` of the access token of its parent that was redeemed for it. */
  redeemed: anId("token").optional(),
  created_at: aTime,
});
export type DelegationWire = z.infer<typeof delegationSchema>;
export const aBudgetLeft = aBudget.describe("By unit; a unit that is absent is not limited.");
/** A delegation with what is left of its budget. */
export const delegationRecordSchema = delegationSchema.extend({ budget_left: aBudgetLeft });
export const delegationCreatedSchema = delegationSchema.extend(withLedger);
export const delegationPageSchema = pageOf(delegationSchema);

export const createDelegation = operation({
  name: "createDelegation",
  method: "post",
  path: "/v1/delegations",
  summary:
    "Grants what an operator asserts that a user wishes, or passes a part of a delegation on as its grantee.",
  anyOf: ["admin", "delegate"],
  status: 201,
  refusedWith: [
    "invalid_target",
    "invalid_scope",
    "invalid_delegation",
    "scope_widening",
    "invalid_authorization_details",
    "budget_exhausted",
  ],
  body: delegateRequestSchema,
  answer: delegationCreatedSchema,
});
export const listDelegations = operation({
  name: "listDelegations",
  method: "get",
  path: "/v1/delegations",
  summary: "Lists the delegations of the organization: all, or those that an agent gave or was given.",
  anyOf: ["admin"],
  query: listQueryOf("delegation").extend({ agent: anId("agent").optional() }),
  answer: delegationPageSchema,
});
export const getDelegation = operation({
  name: "getDelegation",
  method: "get",
  path: "/v1/delegations/{id}",
  summary: "Shows one delegation and what is left of its budget; an agent sees those it gave or was given.",
  anyOf: ["admin", "delegate"],
  params: idParams("delegation"),
  answer: delegationRecordSchema,
});
export const revokeDelegation = operation({
  name: "revokeDelegation",
  method: "post",
  path: "/v1/delegations/{id}/revoke",
  summary: "Ends a delegation and all that was made from it, at once; an agent ends those below its own.",
  anyOf: ["admin", "delegate"],
  params: idParams("delegation"),
  refusedWith: ["invalid_delegation"],
  answer: revocationReceiptSchema,
});
export const consentToDelegation = operation({
  name: "consentToDelegation",
  method: "post",
  path: "/v1/delegations/{id}/consent",
  summary:
    "Lets a delegation hold again that rests since its agent has another owner: asserted for a root, by the grantor agent for a child.",
  anyOf: ["admin", "delegate"],
  params: idParams("delegation"),
  refusedWith: ["invalid_delegation"],
  answer: delegationCreatedSchema,
});
export const getDelegationReach = operation({
  name: "getDelegationReach",
  method: "get",
  path: "/v1/delegations/{id}/reach",
  summary: "Shows what would end with a delegation if it were revoked now.",
  anyOf: ["admin"],
  params: idParams("delegation"),
  answer: reachNowSchema,
});
