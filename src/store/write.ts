import type { BudgetUnit } from "@countersign/sdk/model/budget";
import type { NodeId } from "@countersign/sdk/model/ids";
import type { ActionReportRow, ActionRow, RateUseRow, ReservationRow } from "./action-rows.ts";
import type {
  AgentChecksumRow,
  AgentOwnerRow,
  AgentRow,
  BudgetRow,
  ClientProfileRow,
  CredentialRow,
  DecisionInputRow,
  DelegationRow,
  FederatedBundleRow,
  FederatedTrustDomainRow,
  IdempotencyKeyRow,
  LogRow,
  OperatorRow,
  OrganizationRow,
  PolicyAppliedRow,
  PolicyProposalRow,
  PolicyVersionRow,
  ReplayRow,
  ResourceRow,
  RevocationRow,
  RevokedTokenRow,
  SigningKeyRow,
  SubjectMappingRow,
  TransactionSessionRow,
  TransactionSubjectRow,
  TrustedIssuerRow,
  UserRow,
} from "./rows.ts";
import type { JoinTokenRow, NodeRow, NodeSvidRow, RegistrationEntryRow, SvidRow } from "./svid-rows.ts";

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
  | { readonly into: "trusted_issuer"; readonly row: TrustedIssuerRow }
  | { readonly into: "subject_mapping"; readonly row: SubjectMappingRow }
  | { readonly into: "delegation"; readonly row: DelegationRow }
  | { readonly into: "budget"; readonly row: BudgetRow }
  | { readonly into: "action"; readonly row: ActionRow }
  | { readonly into: "reservation"; readonly row: ReservationRow }
  | { readonly into: "rate_use"; readonly row: RateUseRow }
  | { readonly into: "action_report"; readonly row: ActionReportRow }
  | { readonly into: "revoked_token"; readonly row: RevokedTokenRow }
  | { readonly into: "revocation"; readonly row: RevocationRow }
  | { readonly into: "transaction_session"; readonly row: TransactionSessionRow }
  | { readonly into: "transaction_subject"; readonly row: TransactionSubjectRow }
  | { readonly into: "signing_key"; readonly row: SigningKeyRow }
  | { readonly into: "agent_checksum"; readonly row: AgentChecksumRow }
  | { readonly into: "registration_entry"; readonly row: RegistrationEntryRow }
  | { readonly into: "svid"; readonly row: SvidRow }
  | { readonly into: "join_token"; readonly row: JoinTokenRow }
  | { readonly into: "node"; readonly row: NodeRow }
  | { readonly into: "node_svid"; readonly row: NodeSvidRow }
  | { readonly into: "federated_trust_domain"; readonly row: FederatedTrustDomainRow }
  | { readonly into: "federated_bundle"; readonly row: FederatedBundleRow }
  | { readonly into: "policy_version"; readonly row: PolicyVersionRow }
  | { readonly into: "policy_applied"; readonly row: PolicyAppliedRow }
  | { readonly into: "policy_proposal"; readonly row: PolicyProposalRow }
  | { readonly into: "decision_input"; readonly row: DecisionInputRow }
  | { readonly into: "idempotency_key"; readonly row: IdempotencyKeyRow }
  | { readonly into: "replay"; readonly row: ReplayRow }
  | Transition
  | Transfer
  | Consent
  | Spend
  | Refund
  | Settle;

/**
 * A change of one row's status. Its condition (the states it may come from) is checked by the same commit, and the
 * batch keeps order: whatever depends on the row and came later is decided after it.
 */
export interface Transition {
  readonly set:
    | "user"
    | "agent"
    | "resource"
    | "operator"
    | "credential"
    | "delegation"
    | "signing_key"
    | "agent_checksum"
    | "registration_entry"
    | "join_token"
    | "node"
    | "node_svid"
    | "trusted_issuer"
    | "subject_mapping"
    | "federated_trust_domain"
    | "policy_proposal";
  readonly id: string;
  readonly from: readonly string[];
  readonly to: string;
  /** Of a Node: the machine that it is from now on. */
  readonly joins?: Pick<NodeRow, "attestation" | "subject" | "selectors" | "attested_at">;
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

/**
 * Tells what an action used of what was reserved for it: the budget counts that as spent, or as much of it as there is. The
 * more of two accounts counts. Null is that nobody told: nothing counts any more, unless somebody has told.
 */
export interface Settle {
  /** The action. */
  readonly settle: string;
  readonly unit: BudgetUnit;
  readonly used: number | null;
}

/** What must still be true when the entry is committed; read again in the committing statement. */
export type Condition =
  | StandingCondition
  | UnrevokedCondition
  | SessionCondition
  | SubjectCondition
  | ProfileCondition
  | ChecksumCondition
  | TenantCondition
  | QuotaCondition
  | ReservationCondition
  | RateCondition;

/** That a row has one of these statuses, and is of this tenure where one is named. */
export interface StandingCondition {
  readonly on: Transition["set"];
  readonly id: string;
  readonly status: readonly string[];
  /** The one that an Agent is in, or for which a Delegation was last consented to. */
  readonly tenure?: number;
  /**
   * Of an Agent or a Node, a time in RFC 3339 or `-infinity`: nor was it stopped (a Node: evicted, or joined anew) then or
   * later, to go on since.
   */
  readonly unstoppedSince?: string;
  /** Of a RegistrationEntry: that this Node, or the server itself, is its parent. */
  readonly parent?: NodeId | "server";
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

/** That in a transaction nobody's authority was used whom this one excludes, or who excludes it. */
export interface SubjectCondition {
  readonly on: "transaction_subject";
  /** The transaction. */
  readonly id: string;
  /** The User. */
  readonly subject: string;
  readonly exclusive: boolean;
}

/** That the profile of an Agent or a Resource was last set by the entry of this index, or, for null, never. */
export interface ProfileCondition {
  readonly on: "client_profile";
  readonly id: string;
  readonly last: number | null;
}

/** That an Agent may have the configuration of this checksum: it is approved, or the Agent never had any approved. */
export interface ChecksumCondition {
  readonly on: "approved_checksum";
  /** The Agent. */
  readonly id: string;
  /** Null where it is not known: then only an Agent that never had any approved may have it. */
  readonly checksum: string | null;
}

/** That the organization's other trusts in an issuer, for one audience, all tell its tenants apart by this claim. */
export interface TenantCondition {
  readonly on: "tenant_claim";
  /** `<kind> <issuer> <audience>` */
  readonly id: string;
  /** Null: all its tokens are one's own, and so there is no other trust in it. */
  readonly claim: string | null;
}

/** That the Agents made of a TrustedIssuer's subjects, but for those that are retired, are fewer than it may have. */
export interface QuotaCondition {
  readonly on: "agent_quota";
  /** The TrustedIssuer. */
  readonly id: string;
}

/** That nobody has told yet what an action used of what is reserved for it. */
export interface ReservationCondition {
  readonly on: "reservation";
  /** The action. */
  readonly id: string;
}

/** That a line's subject did what it limits fewer times since then than it allows. */
export interface RateCondition {
  readonly on: "rate";
  /** `<rule> <subject>` */
  readonly id: string;
  readonly times: number;
  /** In RFC 3339. */
  readonly since: string;
}

/** What no longer held: a condition, only its tenure or that the Agent or Node is unstopped, or that a Spend found enough. */
export type Failed = Condition | FailedTenure | FailedStop | FailedSpend;

/** Of an Agent, or a Delegation; of an Agent, or a Node. */
export type FailedTenure = { readonly on: "tenure"; readonly id: string; readonly tenure: number };
export type FailedStop = { readonly on: "stopped"; readonly id: string; readonly since: string };

export interface FailedSpend {
  readonly on: "budget";
  /** The delegation. */
  readonly id: string;
  readonly unit: BudgetUnit;
}
