import type { BudgetUnit } from "@countersign/sdk/model/budget";
import type { LogId } from "@countersign/sdk/model/ids";
import type { RevocationKind } from "@countersign/sdk/model/revocation-kind";
import type { ClientAuthMethod } from "../domain/client.ts";
import type { ActionReportRow, ActionRow } from "./action-rows.ts";

/**
 * A row that stands or changes together with the entry that tells of it: plain data, a closed union, so that a whole
 * batch is applied set by set in one statement.
 */
export type Write =
  | { readonly into: "organization"; readonly row: OrganizationRow }
  | { readonly into: "log"; readonly row: LogRow }
  | { readonly into: "operator"; readonly row: OperatorRow }
  | { readonly into: "user"; readonly row: UserRow }
  | { readonly into: "agent"; readonly row: AgentRow }
  | { readonly into: "agent_owner"; readonly row: AgentOwnerRow }
  | { readonly into: "resource"; readonly row: ResourceRow }
  | { readonly into: "credential"; readonly row: CredentialRow }
  | { readonly into: "client_profile"; readonly row: ClientProfileRow }
  | { readonly into: "delegation"; readonly row: DelegationRow }
  | { readonly into: "budget"; readonly row: BudgetRow }
  | { readonly into: "action"; readonly row: ActionRow }
  | { readonly into: "action_report"; readonly row: ActionReportRow }
  | { readonly into: "revoked_token"; readonly row: RevokedTokenRow }
  | { readonly into: "revocation"; readonly row: RevocationRow }
  | { readonly into: "transaction_session"; readonly row: TransactionSessionRow }
  | { readonly into: "signing_key"; readonly row: SigningKeyRow }
  | { readonly into: "policy_version"; readonly row: PolicyVersionRow }
  | { readonly into: "policy_applied"; readonly row: PolicyAppliedRow }
  | { readonly into: "decision_input"; readonly row: DecisionInputRow }
  | { readonly into: "idempotency_key"; readonly row: IdempotencyKeyRow }
  | Transition
  | Transfer
  | Consent
  | Spend
  | Refund;

/**
 * A change of one row's status. Its condition (the states it may come from) is checked by the same commit, and the
 * batch keeps order: whatever depends on the row and came later is decided after it.
 */
export interface Transition {
  readonly set: "user" | "agent" | "resource" | "operator" | "credential" | "delegation" | "signing_key";
  readonly id: string;
  readonly from: readonly string[];
  readonly to: string;
}

/**
 * Gives an Agent to another owner, and so begins its next tenure. That it is still in the tenure before, and not
 * retired, is a condition of the same commit.
 */
export interface Transfer {
  /** The Agent. */
  readonly transfer: string;
  /** The tenure that ends. */
  readonly tenure: number;
  /** The User who owns it from now on. */
  readonly to: string;
}

/** Lets a Delegation hold in its grantee's present tenure. That it was of the earlier one is a condition, as above. */
export interface Consent {
  /** The Delegation. */
  readonly consent: string;
  readonly from: number;
  readonly to: number;
}

/**
 * Takes from what a delegation has left. That there is enough is a condition of its own: of several appends that
 * together want more than there is, those that come first get it.
 */
export interface Spend {
  readonly spend: BudgetUnit;
  /** A delegation that has a budget in this unit. */
  readonly of: string;
  /** A whole number from 1 up. */
  readonly amount: number;
}

/** Gives back to its parent what a delegation and all below it have not spent; nothing is left there. */
export interface Refund {
  readonly refund: string;
}

/** What must still be true when the entry is committed; read again in the committing statement. */
export type Condition = StandingCondition | UnrevokedCondition | SessionCondition | ProfileCondition;

/** That a row has one of these statuses, and is of this tenure where one is named. */
export interface StandingCondition {
  readonly on: Transition["set"];
  readonly id: string;
  readonly status: readonly string[];
  /** The one that an Agent is in, or for which a Delegation was last consented to. */
  readonly tenure?: number;
  /** Of an Agent, a time in RFC 3339 or `-infinity`: nor was it stopped then or later, to be resumed since. */
  readonly unstoppedSince?: string;
}

/** That an access token was not revoked. */
export interface UnrevokedCondition {
  readonly on: "revoked_token";
  readonly id: string;
}

/** That a transaction is bound to this session, or to none yet. */
export interface SessionCondition {
  readonly on: "transaction_session";
  /** The transaction. */
  readonly id: string;
  readonly session: string;
}

/** That the profile of an Agent or a Resource was last set by the entry of this index, or, for null, never. */
export interface ProfileCondition {
  readonly on: "client_profile";
  readonly id: string;
  readonly last: number | null;
}

/** What no longer held: a condition, only its tenure or that the Agent is unstopped, or that a Spend found enough. */
export type Failed = Condition | FailedTenure | FailedStop | FailedSpend;

/** Of an Agent, or a Delegation. */
export type FailedTenure = { readonly on: "tenure"; readonly id: string; readonly tenure: number };
export type FailedStop = { readonly on: "stopped"; readonly id: string; readonly since: string };

export interface FailedSpend {
  readonly on: "budget";
  /** The delegation. */
  readonly id: string;
  readonly unit: BudgetUnit;
}

export interface OrganizationRow {
  readonly id: string;
  readonly name: string;
  readonly created_at: Date;
}
export interface LogRow {
  readonly id: LogId;
  readonly organization_id: string | null;
  readonly origin: string;
  readonly public: boolean;
  readonly created_at: Date;
}
export interface OperatorRow {
  readonly id: string;
  readonly organization_id: string;
  readonly name: string;
  readonly status: "active";
  readonly created_at: Date;
}
export interface UserRow {
  readonly id: string;
  readonly organization_id: string;
  readonly name: string;
  readonly email: string | null;
  readonly status: "active";
  readonly created_at: Date;
}
export interface AgentRow {
  readonly id: string;
  readonly organization_id: string;
  readonly owner_id: string;
  readonly name: string;
  readonly kind: "manager" | "worker" | "tool";
  readonly status: "active";
  readonly expires_at: Date | null;
  readonly created_at: Date;
}
/** Who owns an Agent from here on; the statement adds from which entry. */
export interface AgentOwnerRow {
  readonly agent_id: string;
  readonly organization_id: string;
  readonly owner_id: string;
}
export interface ResourceRow {
  readonly id: string;
  readonly organization_id: string;
  readonly audience: string;
  readonly scope: readonly string[];
  readonly owner_id: string | null;
  readonly open: boolean;
  readonly status: "active";
  readonly created_at: Date;
}
export interface CredentialRow {
  readonly id: string;
  readonly organization_id: string;
  readonly principal_kind: "agent" | "resource" | "operator";
  readonly principal_id: string;
  readonly thumbprint: string;
  readonly public_jwk: string;
  readonly status: "active";
  readonly created_at: Date;
}
export interface ClientProfileRow {
  readonly organization_id: string;
  readonly principal_id: string;
  readonly redirect_uris: readonly string[];
  readonly auth_method: ClientAuthMethod;
  readonly dpop_nonce_required: boolean;
  readonly compat: boolean;
  readonly secret_verifier: string | null;
  readonly created_at: Date;
}
export interface DelegationRow {
  readonly id: string;
  readonly organization_id: string;
  readonly root_id: string;
  readonly parent_id: string | null;
  readonly path: readonly string[];
  readonly subject_id: string;
  readonly grantor_agent_id: string | null;
  readonly grantee_agent_id: string;
  readonly grantee_tenure: number;
  readonly resource_id: string;
  readonly scope: readonly string[];
  readonly authorization_details: string;
  readonly budget: string;
  readonly onward: string;
  readonly max_depth: number;
  readonly expires_at: Date;
  readonly status: "active";
  readonly asserted_by: string | null;
  readonly created_at: Date;
  readonly redeemed_jti: string | null;
  readonly session: string | null;
}
export interface BudgetRow {
  readonly delegation_id: string;
  readonly organization_id: string;
  readonly unit: BudgetUnit;
  readonly allowance: number;
}
export interface RevokedTokenRow {
  readonly jti: string;
  readonly organization_id: string;
  readonly expires_at: Date;
  readonly created_at: Date;
}
/** Authority that was taken away; the statement adds where that is recorded. */
export interface RevocationRow {
  readonly organization_id: string;
  readonly kind: RevocationKind;
  readonly node_id: string;
  readonly revoked_at: Date;
}
/** What binds a transaction to a session, unless one stands there. */
export interface TransactionSessionRow {
  readonly organization_id: string;
  readonly txn: string;
  readonly session: string;
  readonly expires_at: Date;
}
export interface SigningKeyRow {
  readonly id: string;
  readonly purpose: "token" | "log";
  readonly log_id: LogId | null;
  readonly algorithm: "ES256" | "EdDSA";
  readonly public_jwk: string;
  /** base64 */
  readonly sealed: string;
  readonly data_key_id: string;
  readonly status: "next" | "active";
  readonly created_at: Date;
  readonly activated_at: Date | null;
}
export interface PolicyVersionRow {
  readonly hash: string;
  readonly text: string;
  readonly created_at: Date;
}
export interface PolicyAppliedRow {
  readonly organization_id: string;
  readonly hash: string;
  readonly applied_at: Date;
}
export interface DecisionInputRow {
  readonly hash: string;
  readonly organization_id: string;
  /** base64 */
  readonly sealed: string;
  readonly data_key_id: string;
  readonly created_at: Date;
}
/** What a caller's key stands for; the statement adds where that is recorded. */
export interface IdempotencyKeyRow {
  readonly organization_id: string;
  readonly principal_id: string;
  readonly key: string;
  readonly request_hash: string;
  readonly created_at: Date;
  readonly expires_at: Date;
}
