import { z } from "zod";
import { actionReportSchema } from "./actions.ts";
import { aTime, indexListQuery, indexPattern, pageOf } from "./fields.ts";
import { operation } from "./operation.ts";
import { reachPageSchema, reachQuerySchema } from "./reach.ts";
import { revocationReceiptSchema } from "./revocation-receipt.ts";

const anIndex = z.int().nonnegative();
/** The index of a revocation's entry, as a path has it: one spelling. */
const indexParams = z.strictObject({
  index: z.string().regex(new RegExp(indexPattern)).transform(Number),
});
const readers = ["admin", "audit", "revocations"] as const;

/** A revocation in the list of an organization. */
export const revocationSchema = z.strictObject({
  index: anIndex,
  kind: z.string().max(32),
  id: z.string().max(128),
  revoked_at: aTime,
});

/**
 * What followers of revocations are told. A token is over if its `delegation` is among the `delegations`, its client or
 * an actor of its chain among the `agents`, or its `jti` the `id` of kind `token`, and its `iat` is not after
 * `revoked_at`.
 */
export const revocationEventSchema = revocationSchema.extend({
  /** From 1 on: what reached more than one event can tell is told in several, all of one index. */
  part: z.int().positive(),
  /** Whether it is the last part. */
  last: z.boolean(),
  delegations: z.array(z.string().max(128)).max(500),
  /** The agents that were stopped. */
  agents: z.array(z.string().max(128)).max(500),
});
export type RevocationEvent = z.infer<typeof revocationEventSchema>;

/** Begins a stream: what follows comes after this index. */
export const streamStartedSchema = z.strictObject({ after: z.int().min(-1) });
/** Ends a stream: the caller's token expired or is not good any more, or the server stops. */
export const streamEndedSchema = z.strictObject({ reason: z.enum(["expired", "not_live", "stopping"]) });
export type StreamEndReason = z.infer<typeof streamEndedSchema>["reason"];

export const listRevocations = operation({
  name: "listRevocations",
  method: "get",
  path: "/v1/revocations",
  summary:
    "Lists the revocations that a checkpoint covers; as text/event-stream it goes on with each new one.",
  anyOf: readers,
  refusedWith: ["too_many_requests"],
  query: indexListQuery,
  answer: pageOf(revocationSchema),
  events: revocationEventSchema,
});
export const getRevocation = operation({
  name: "getRevocation",
  method: "get",
  path: "/v1/revocations/{index}",
  summary: "Makes the signed receipt of one revocation again.",
  anyOf: readers,
  params: indexParams,
  answer: revocationReceiptSchema,
});
/** What was reported after a revocation of actions under what it reached. */
export const supplementSchema = z.strictObject({
  items: z.array(actionReportSchema).max(200),
  as_of: z
    .int()
    .nonnegative()
    .describe("How many entries of the log were looked at: later reports are not among these yet."),
  next: z
    .string()
    .max(64)
    .optional()
    .describe("The cursor of the following page, absent on the last; a short or an empty page may have one."),
});

export const listSupplement = operation({
  name: "listSupplement",
  method: "get",
  path: "/v1/revocations/{index}/supplement",
  summary: "Lists what was reported after a revocation of actions under what it reached.",
  anyOf: readers,
  params: indexParams,
  query: indexListQuery,
  answer: supplementSchema,
});
export const listReach = operation({
  name: "listReach",
  method: "get",
  path: "/v1/revocations/{index}/reach",
  summary: "Lists all that a revocation reached, in the order of the leaves under its receipt's root.",
  anyOf: readers,
  params: indexParams,
  query: reachQuerySchema,
  answer: reachPageSchema,
});
