import { z } from "zod";
import { isBoundedJson, isPlainObject } from "../model/bounded-json.ts";
import type { JsonValue } from "../model/canonical-json.ts";
import { errorCodes } from "../model/error-codes.ts";
import { minorUnitsOf } from "../model/money.ts";
import { aHash, anActionName, anOutcome, aToolName } from "./action-report.ts";
import {
  anId,
  anOrganization,
  aScope,
  aTime,
  idParams,
  indexListQuery,
  ledgerPositionSchema,
  listQueryOf,
  pageOf,
} from "./fields.ts";
import { obligationsSchema } from "./obligation.ts";
import { operation } from "./operation.ts";

const argumentBounds = { depthMax: 12, bytesMax: 32_768 };
// Not a record, which would drop a member `__proto__` instead of refusing it.
const someArguments = z
  .unknown()
  .transform((value, context): { readonly [name: string]: JsonValue } => {
    // A plain object that is JSON has members that are.
    if (isPlainObject(value) && isBoundedJson(value, argumentBounds))
      return value as { [name: string]: JsonValue };
    const { depthMax, bytesMax } = argumentBounds;
    const message = `must be a JSON object of at most ${bytesMax} bytes and ${depthMax} levels`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  })
  .meta({ type: "object", description: "At most 32,768 bytes of canonical JSON and 12 levels." });

const aSum = z
  .strictObject({ amount: z.string().max(20), unit: z.string().max(3) })
  .refine(
    (sum) => minorUnitsOf(sum) !== undefined,
    "must be an amount like 12.50, no finer than its currency has it, and a code like EUR",
  );

/** What an agent is about to do under the access token that it presents. */
export const authorizeActionRequestSchema = z.strictObject({
  action: anActionName,
  /** What the resource demands for it. */
  scope: aScope,
  tool_call: z
    .strictObject({
      ...aToolName,
      arguments: someArguments.exactOptional(),
      /** In place of the arguments, where those are nobody's business; see argumentsHash. */
      arguments_hash: aHash.exactOptional(),
    })
    .refine(
      (call) => call.arguments === undefined || call.arguments_hash === undefined,
      "has either arguments or their hash",
    )
    .exactOptional(),
  /** At most what it will cost. */
  cost: z
    .strictObject({ spend: aSum.exactOptional(), rows: z.int().nonnegative().exactOptional() })
    .exactOptional(),
  /** Where what it acts on came from. */
  provenance: z.enum(["trusted", "internal", "untrusted"]).exactOptional(),
  /** Of the data that it has to do with, in a word that the policy knows. */
  sensitivity: z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,31}$/, "must be 1 to 32 of a-z 0-9 _ -, and begin with a letter")
    .exactOptional(),
});
export type AuthorizeActionRequest = z.input<typeof authorizeActionRequestSchema>;

/** Only `allow` is a yes. Whoever gets another answer, or none, does not act. */
export const authorizationSchema = z.discriminatedUnion("decision", [
  z.strictObject({
    decision: z.literal("allow"),
    /** To be named in the report of this action; good for one. */
    action_id: anId("action"),
    rule: z.string().max(128),
    reason: z.string().max(1024),
    policy: aHash,
    ledger: ledgerPositionSchema,
    /** What a limited delegation has left. */
    calls_left: z.int().nonnegative().optional(),
    /** What has to be seen to; whoever does not know one of them takes the answer for a no. */
    obligations: obligationsSchema.optional(),
  }),
  z.strictObject({
    decision: z.enum(["deny", "needs_approval"]),
    code: z.enum(errorCodes),
    reason: z.string().max(1024),
    rule: z.string().max(128).optional(),
    policy: aHash.optional(),
    /** Seconds after which what was done too often is not any more, at the latest. */
    retry_after: z.int().positive().optional(),
  }),
]);
export type AuthorizationWire = z.output<typeof authorizationSchema>;

const aReporter = z.enum(["claimed", "witnessed"]);
const aStanding = z.enum(["as_granted", "out_of_scope", "unauthorized"]);

/** A report, as whoever did or saw it signed it: see actionReportClaimsSchema. */
export const reportActionRequestSchema = z.strictObject({ report: z.string().max(8192) });
export const reportedActionSchema = z.strictObject({
  reporter: aReporter,
  /** How it stands to what was granted. */
  standing: aStanding,
  /** What was used beyond what was reserved for it, by unit. */
  over: z.record(z.string().max(32), z.int().nonnegative()).optional(),
  ledger: ledgerPositionSchema,
});
export type ReportedActionWire = z.output<typeof reportedActionSchema>;

const reportMembers = {
  standing: aStanding,
  outcome: anOutcome,
  reported_at: aTime,
  ledger: ledgerPositionSchema,
  /** The signed text itself. */
  report: z.string().max(8192),
};

/** One granted action, and what was reported of it. */
export const actionSchema = z.strictObject({
  id: anId("action"),
  organization: anOrganization,
  agent: anId("agent"),
  delegation: anId("delegation").optional(),
  jti: z.string().max(128),
  txn: z.string().max(128),
  resource: z.string().max(512),
  scope: z.array(z.string().max(128)).max(64),
  action: z.string().max(128),
  tool_call: z
    .strictObject({ server: z.string().max(512), tool: z.string().max(128), arguments_hash: aHash })
    .optional(),
  decided_at: aTime,
  granted: ledgerPositionSchema,
  claimed: z.strictObject(reportMembers).optional(),
  witnessed: z.strictObject(reportMembers).optional(),
  /** Granted a while ago, and nobody has said what became of it. */
  unaccounted: z.boolean(),
});
export const actionPageSchema = pageOf(actionSchema);

export const actionReportSchema = z.strictObject({
  reporter: z.strictObject({ kind: z.enum(["agent", "resource"]), id: z.string().max(64) }),
  agent: anId("agent"),
  /** The granted action that it accounts for. */
  action_id: anId("action").optional(),
  ...reportMembers,
});
export const actionReportPageSchema = pageOf(actionReportSchema);

/** How an agent's granted actions and the reports of what it did add up. */
export const accountabilitySchema = z.strictObject({
  agent: anId("agent"),
  granted: z.int().nonnegative(),
  claimed: z.int().nonnegative(),
  witnessed: z.int().nonnegative(),
  unaccounted: z.int().nonnegative(),
  out_of_scope: z.int().nonnegative(),
  unauthorized: z.int().nonnegative(),
});

export const authorizeAction = operation({
  name: "authorizeAction",
  method: "post",
  path: "/v1/authorize",
  summary: "Decides whether one action may be done now, under the access token that it is to be done with.",
  anyOf: [],
  body: authorizeActionRequestSchema,
  answer: authorizationSchema,
});
export const reportAction = operation({
  name: "reportAction",
  method: "post",
  path: "/v1/actions",
  summary: "Records what an agent did, signed by the agent or by the resource that saw it.",
  anyOf: ["report"],
  body: reportActionRequestSchema,
  answer: reportedActionSchema,
});
export const listActions = operation({
  name: "listActions",
  method: "get",
  path: "/v1/actions",
  summary: "Lists granted actions with what was reported of them; an agent sees its own.",
  anyOf: ["audit", "admin", "report"],
  query: listQueryOf("action").extend({
    agent: anId("agent").optional(),
    delegation: anId("delegation").optional(),
  }),
  // To an agent that asks for another's.
  refusedWith: ["not_found"],
  answer: actionPageSchema,
});
export const getAction = operation({
  name: "getAction",
  method: "get",
  path: "/v1/actions/{id}",
  summary: "Shows one granted action with what was reported of it; an agent sees its own.",
  anyOf: ["audit", "admin", "report"],
  params: idParams("action"),
  answer: actionSchema,
});
export const listActionReports = operation({
  name: "listActionReports",
  method: "get",
  path: "/v1/agents/{id}/reports",
  summary: "Lists what was reported of an agent, granted or not; an agent sees its own.",
  anyOf: ["audit", "admin", "report"],
  params: idParams("agent"),
  query: indexListQuery,
  answer: actionReportPageSchema,
});
export const getAccountability = operation({
  name: "getAccountability",
  method: "get",
  path: "/v1/agents/{id}/accountability",
  summary: "Adds up what an agent was granted and what was reported of it; an agent sees its own.",
  anyOf: ["audit", "admin", "report"],
  params: idParams("agent"),
  answer: accountabilitySchema,
});
