import type { LedgerEntryBody } from "@countersign/sdk/contract/ledger-entry";
import type { LogId } from "@countersign/sdk/model/ids";
import type { BudgetLeft } from "../store/commit-batch.ts";
import type { Condition, Failed, Write } from "../store/write.ts";

/** What a journey hands the ledger: the entry, the rows that stand or fall with it, and what must still be true. */
export interface AppendRequest {
  readonly entry: LedgerEntryBody;
  readonly writes?: readonly Write[];
  readonly conditions?: readonly Condition[];
  /**
   * The entry to commit in its place when a condition fails at the commit; none of `writes` is applied then.
   * A request with conditions or transitions must have one.
   */
  readonly otherwise?: (failed: readonly Failed[]) => LedgerEntryBody;
}

/** What became of one append. `index` is where the entry stands, for good. */
export type Appended =
  | {
      readonly committed: true;
      readonly log: LogId;
      readonly index: number;
      /** What each budget that it spent from has left, after all that was committed with it. */
      readonly left: readonly BudgetLeft[];
    }
  | {
      readonly committed: false;
      readonly log: LogId;
      readonly index: number;
      readonly failed: readonly Failed[];
    };

/**
 * Commits one entry with its rows, together with whatever else is waiting, and answers when it is durable.
 *
 * @throws DomainError `ledger_unavailable` when it could not be committed or nobody knows whether it was (issue
 *   nothing), `ledger_behind` when the database is older than the last checkpoint seen, `entry_refused` when this
 *   entry or its rows can't be stored (too large, not text), `conflict`, as ValueTaken, when a unique value is.
 */
export type AppendEntry = (log: LogId, request: AppendRequest) => Promise<Appended>;
