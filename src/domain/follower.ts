import type { LogId } from "@countersign/sdk/model/ids";

/** What follows the ledger, each with a cursor of its own in every log. */
export type FollowerName = "agent-history";

/** Consecutive entries of a log that a follower has yet to handle: from its cursor on, up to `to` and without it. */
export interface FollowerBatch {
  readonly follower: FollowerName;
  readonly log: LogId;
  readonly from: number;
  readonly to: number;
}
