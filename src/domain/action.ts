import { sameAudience } from "@countersign/sdk/model/audience";
import type {
  ActionId,
  AgentId,
  DelegationId,
  LogId,
  OrganizationId,
  ResourceId,
  UserId,
} from "@countersign/sdk/model/ids";
import { type Scope, scopeBeyond } from "@countersign/sdk/model/scope";

/** Which tool of which server was called, and how. */
export interface ToolUse {
  readonly server: string;
  readonly tool: string;
  /** See argumentsHash. */
  readonly argumentsHash: string;
}

/** What was done, as far as it can be held against what was granted. */
export interface Deed {
  /** The audience. */
  readonly resource: string;
  readonly scope: Scope;
  /** Its name. */
  readonly action: string;
  /** Undefined for what is no tool call. */
  readonly tool: ToolUse | undefined;
}

/** One action that an Agent was let do, once, under one token. */
export interface Action extends Deed {
  readonly id: ActionId;
  readonly organization: OrganizationId;
  readonly agent: AgentId;
  /** Who owned the Agent then, and answers for what it did. */
  readonly owner: UserId;
  /** Whose authority it was; undefined, as the delegation is, where the Agent acts in its own right. */
  readonly subject: UserId | undefined;
  readonly delegation: DelegationId | undefined;
  readonly jti: string;
  readonly txn: string;
  readonly decidedAtMs: number;
  /** Where it is recorded. */
  readonly ledger: LedgerPlace;
}

/** The place of an entry. */
export interface LedgerPlace {
  readonly log: LogId;
  readonly index: number;
}

/** How a reported action stands to what was granted; `unauthorized`: nothing was. */
export type Standing = "as_granted" | "out_of_scope" | "unauthorized";

export type Outcome = "succeeded" | "failed" | "unknown";

/** Who tells: the Agent that acted, or the Resource that saw it. */
export type Reporter =
  | { readonly kind: "agent"; readonly id: AgentId }
  | { readonly kind: "resource"; readonly id: ResourceId };

/** What a reporter signed of an action, and how it stands. */
export interface ActionReport {
  readonly reporter: Reporter;
  readonly agent: AgentId;
  /** The granted action that it accounts for; undefined where there is none. */
  readonly action: ActionId | undefined;
  readonly standing: Standing;
  readonly outcome: Outcome;
  /** SHA-256 of the canonical claims. */
  readonly claimsHash: string;
  /** As it was signed, compact. */
  readonly jws: string;
  readonly reportedAtMs: number;
  readonly ledger: LedgerPlace;
}

/** What of a deed is not what was granted, by name; empty: all is. What only one of the two tells differs. */
export function differencesOf(granted: Deed, done: Deed): readonly string[] {
  const differs = {
    resource: !sameAudience(granted.resource, done.resource),
    scope: scopeBeyond(done.scope, granted.scope).length > 0,
    action: granted.action !== done.action,
    tool: granted.tool?.server !== done.tool?.server || granted.tool?.tool !== done.tool?.tool,
    arguments: granted.tool?.argumentsHash !== done.tool?.argumentsHash,
  };
  return Object.entries(differs).flatMap(([name, differ]) => (differ ? [name] : []));
}

/** One granted action with what was reported of it. */
export interface AccountedAction {
  readonly action: Action;
  /** The Agent's report. */
  readonly claimed: ActionReport | undefined;
  /** The Resource's. */
  readonly witnessed: ActionReport | undefined;
}

/** How an Agent's granted actions and the reports of what it did add up. */
export interface Accountability {
  readonly granted: number;
  /** Granted ones that the Agent reported. */
  readonly claimed: number;
  /** Granted ones that the Resource reported. */
  readonly witnessed: number;
  /** Granted ones that nobody has reported in time. */
  readonly unaccounted: number;
  /** Reports of what differs from what was granted. */
  readonly outOfScope: number;
  /** Reports of what nothing was granted for. */
  readonly unauthorized: number;
}

/** For so long a granted action may go unreported before it counts as unaccounted. */
export const unaccountedAfterMs = 3_600_000;

/** Whether nobody has reported a granted action in time. */
export function isUnaccounted({ action, claimed, witnessed }: AccountedAction, nowMs: number): boolean {
  return claimed === undefined && witnessed === undefined && action.decidedAtMs + unaccountedAfterMs <= nowMs;
}
