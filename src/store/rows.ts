import type { BudgetUnit } from "@countersign/sdk/model/budget";
import type { LogId } from "@countersign/sdk/model/ids";
import type { RevocationKind } from "@countersign/sdk/model/revocation-kind";
import type { AgentKind } from "../domain/agent.ts";
import type { ClientAuthMethod } from "../domain/client.ts";
import type { KeyPurpose } from "../domain/signing-key.ts";
import type { TrustedIssuerKind } from "../domain/trusted-issuer.ts";

// The rows that a batch inserts, each with its columns as the database names them.

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
  /** The issuer of whose subject it was made. */
  readonly trusted_issuer_id: string | null;
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
export interface TrustedIssuerRow {
  readonly id: string;
  readonly organization_id: string;
  readonly issuer: string;
  readonly kind: TrustedIssuerKind;
  readonly audience: string;
  readonly jwks: string | null;
  readonly tenant_claim: string | null;
  readonly tenant_value: string | null;
  readonly max_age_seconds: number;
  readonly algorithms: readonly string[];
  readonly max_agents: number;
  readonly checksum_claims: readonly string[];
  readonly status: "active";
  readonly created_at: Date;
}
export interface SubjectMappingRow {
  readonly id: string;
  readonly organization_id: string;
  readonly trusted_issuer_id: string;
  readonly subject: string | null;
  readonly claims: readonly string[];
  readonly agent_id: string | null;
  readonly owner_id: string | null;
  readonly agent_kind: AgentKind | null;
  readonly name_prefix: string | null;
  readonly user_id: string | null;
  readonly provisioned_by: string | null;
  readonly status: "active";
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
  readonly exclusive: boolean;
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
/** Whose authority was used in a transaction, and whether apart from all others', unless that stands there. */
export interface TransactionSubjectRow {
  readonly organization_id: string;
  readonly txn: string;
  readonly subject_id: string;
  readonly exclusive: boolean;
  readonly expires_at: Date;
}
export interface SigningKeyRow {
  readonly id: string;
  readonly purpose: KeyPurpose;
  readonly log_id: LogId | null;
  readonly algorithm: "ES256" | "EdDSA";
  readonly public_jwk: string;
  /** base64 */
  readonly sealed: string;
  readonly data_key_id: string;
  readonly status: "next" | "active";
  readonly created_at: Date;
  readonly activated_at: Date | null;
  /** These three of an X.509 authority; base64 the first two. */
  readonly to_be_signed: string | null;
  readonly upstream: readonly string[];
  readonly not_after: Date | null;
}
export interface PolicyVersionRow {
  readonly hash: string;
  readonly text: string;
  readonly created_at: Date;
}
export interface PolicyAppliedRow {
  readonly organization_id: string;
  readonly number: number;
  readonly hash: string;
  readonly source: string | null;
  /** Null: the installation. */
  readonly applied_by: string | null;
  readonly signature: string | null;
  readonly applied_at: Date;
  readonly two_person: boolean;
  readonly approved_by: string | null;
  readonly approval: string | null;
}
export interface PolicyProposalRow {
  readonly id: string;
  readonly organization_id: string;
  readonly number: number;
  readonly hash: string;
  readonly previous: string;
  readonly source: string;
  readonly proposed_by: string;
  readonly signature: string;
  readonly proposed_at: Date;
  readonly status: "open";
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
/** Something that is good once, and was used. */
export interface ReplayRow {
  readonly key: string;
  readonly expires_at: Date;
}
/** A foreign trust domain, and where its bundle is fetched. */
export interface FederatedTrustDomainRow {
  readonly id: string;
  readonly trust_domain: string;
  readonly endpoint_url: string;
  readonly profile: "https_web" | "https_spiffe";
  readonly endpoint_spiffe_id: string | null;
  readonly ca: string | null;
  readonly private_allowed: boolean;
  readonly trusted_for_seconds: number;
  readonly status: "active";
  readonly created_at: Date;
  readonly due_at: Date;
}
/** A bundle of a foreign trust domain: the one of the highest revision holds. */
export interface FederatedBundleRow {
  readonly federation_id: string;
  readonly revision: number;
  readonly bundle: string;
  readonly sequence: number | null;
}
/** A configuration that an Agent may have. */
export interface AgentChecksumRow {
  readonly id: string;
  readonly organization_id: string;
  readonly agent_id: string;
  readonly checksum: string;
  readonly status: "approved";
  readonly approved_at: Date;
}
