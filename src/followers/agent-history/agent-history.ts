import type { FollowerBatch } from "../../domain/follower.ts";
import type { Follower } from "../follow-ledger.ts";

export interface AgentHistoryDeps {
  /** Notes which Agent acted in each entry of a batch and moves the cursor in the same transaction, unless it has moved. */
  readonly addAgentEntries: (batch: FollowerBatch) => Promise<boolean>;
}

/** Finds what each Agent did. The database reads the entries by itself: not one of them travels here for it. */
export function agentHistory({ addAgentEntries }: AgentHistoryDeps): Follower {
  return { name: "agent-history", entriesAtOnce: 1_000, handle: addAgentEntries };
}
