import type { BudgetUnit } from "@countersign/sdk/model/budget";
import type { Outcome, Reporter, Standing } from "../domain/action.ts";

/** One action that was granted; the statement adds where that is recorded. */
export interface ActionRow {
  readonly id: string;
  readonly organization_id: string;
  readonly agent_id: string;
  readonly owner_id: string;
  /** Null, as the delegation is, where the agent acts in its own right. */
  readonly subject_id: string | null;
  readonly delegation_id: string | null;
  readonly jti: string;
  readonly txn: string;
  /** The audience. */
  readonly resource: string;
  readonly scope: readonly string[];
  readonly action: string;
  readonly tool_server: string | null;
  readonly tool: string | null;
  readonly arguments_hash: string | null;
  readonly decided_at: Date;
}

/** What an action may use at most of one unit of its delegation's budget. */
export interface ReservationRow {
  readonly action_id: string;
  readonly unit: BudgetUnit;
  readonly organization_id: string;
  readonly delegation_id: string;
  readonly reserved: number;
  /** What the budget counts as spent for it. */
  readonly counted: number;
  readonly status: "reserved";
  readonly reserved_at: Date;
}

/** One action that a line counts which limits how often its agent does so. */
export interface RateUseRow {
  /** `<rule> <subject>` */
  readonly id: string;
  readonly organization_id: string;
  readonly action_id: string;
  readonly used_at: Date;
}

/** What somebody signed of an action; the statement adds where that is recorded. */
export interface ActionReportRow {
  readonly organization_id: string;
  readonly reporter_kind: Reporter["kind"];
  readonly reporter_id: string;
  readonly jti: string;
  readonly claims_hash: string;
  readonly agent_id: string;
  readonly delegation_id: string | null;
  /** Null where it accounts for none that was granted. */
  readonly action_id: string | null;
  readonly standing: Standing;
  readonly outcome: Outcome;
  /** The report as it was signed, compact. */
  readonly jws: string;
  readonly reported_at: Date;
}
