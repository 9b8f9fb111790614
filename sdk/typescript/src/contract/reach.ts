import { z } from "zod";
import { idPattern } from "../model/ids.ts";
import { anId, aTime, listQuery, pageOf } from "./fields.ts";

/**
 * One thing that a revocation reached. Its canonical JSON is a leaf of the tree whose root the receipt bears, so nothing
 * in it may ever change. A user or a token that was itself revoked comes first, then the agents that were stopped, then
 * the delegations, by root and id; all of it in octet order. What was itself revoked is among them.
 */
export const reachItemSchema = z.union([
  z.strictObject({
    kind: z.literal("delegation"),
    id: anId("delegation"),
    root: anId("delegation"),
    parent: anId("delegation").optional(),
    /** The agent it was made to. */
    agent: anId("agent"),
    /** When it would have ended: one whose time was over already is in the list as well. */
    expires_at: aTime,
  }),
  z.strictObject({ kind: z.enum(["agent", "user", "token"]), id: z.string().max(128) }),
]);
export type ReachItem = z.infer<typeof reachItemSchema>;
export const reachPageSchema = pageOf(reachItemSchema);
const aDelegation = idPattern("delegation").slice(1, -1);
/** Continued after the node itself, an agent, or a delegation behind its root. */
export const reachQuerySchema = listQuery(`^-$|${idPattern("agent")}|^${aDelegation}-${aDelegation}$`);

/** How many delegations, and how many agents they were made to. */
export const reachCountsSchema = z.strictObject({
  delegations: z.int().nonnegative(),
  agents: z.int().nonnegative(),
});

/** What would end if something were revoked now. */
export const reachNowSchema = z.strictObject({
  /** As the receipt will count. */
  counts: reachCountsSchema,
  /** The delegations that carry authority now, the one to be revoked included, and the agents that they serve. */
  live: reachCountsSchema,
  /** When the first and when the last of the live ones would end by themselves; absent where none is live. */
  soonest_expiry: aTime.optional(),
  latest_expiry: aTime.optional(),
  /** The first of them; the whole list comes with the receipt. */
  items: z.array(reachItemSchema).max(200),
});
export type ReachNowWire = z.infer<typeof reachNowSchema>;
