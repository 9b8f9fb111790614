import type { ServerStatusWire } from "@countersign/sdk/contract/server-status";
import type {
  ActionId,
  AgentId,
  DelegationId,
  EntryId,
  NodeId,
  OperatorId,
  OrganizationId,
  ProposalId,
  ResourceId,
  TrustedIssuerId,
  UserId,
} from "@countersign/sdk/model/ids";
import type { Principal, TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Accountability, AccountedAction, ActionReport } from "../domain/action.ts";
import type { Agent, AgentFilter, AgentHistory, AgentRecord } from "../domain/agent.ts";
import type { ChecksumApproval } from "../domain/agent-checksum.ts";
import type { Client } from "../domain/client.ts";
import type { DelegationChain } from "../domain/delegation-chain.ts";
import type { FederatedTrustDomain } from "../domain/federation.ts";
import type { Node } from "../domain/node.ts";
import type { Operator } from "../domain/operator.ts";
import type { AppliedPolicy, PolicyProposal, ProposalStanding } from "../domain/policy-version.ts";
import type { EntryFilter, RegistrationEntry } from "../domain/registration-entry.ts";
import type { Resource } from "../domain/resource.ts";
import type { Revocation, RevokedNode } from "../domain/revocation.ts";
import type { KeyPurpose } from "../domain/signing-key.ts";
import type { SubjectMapping, TrustedIssuer } from "../domain/trusted-issuer.ts";
import type { User } from "../domain/user.ts";
import type { evaluateEach } from "../journeys/access/evaluate-each.ts";
import type { searchAccess } from "../journeys/access/search.ts";
import type { authorizeAction } from "../journeys/action/authorize.ts";
import type { reportAction } from "../journeys/action/report.ts";
import type { explainAccess } from "../journeys/agent/access.ts";
import type { approveChecksum } from "../journeys/agent/approve-checksum.ts";
import type { createAgent } from "../journeys/agent/create.ts";
import type { declareConfiguration } from "../journeys/agent/declare-configuration.ts";
import type { setAgentStatus } from "../journeys/agent/set-status.ts";
import type { stopAgent } from "../journeys/agent/stop.ts";
import type { transferAgent } from "../journeys/agent/transfer.ts";
import type { withdrawChecksum } from "../journeys/agent/withdraw-checksum.ts";
import type { refuseRequest } from "../journeys/authentication/refuse-request.ts";
import type { setClient } from "../journeys/client/set.ts";
import type { consentToDelegation } from "../journeys/delegation/consent.ts";
import type { grantDelegation } from "../journeys/delegation/grant.ts";
import type { narrowDelegation } from "../journeys/delegation/narrow.ts";
import type { revokeDelegation } from "../journeys/delegation/revoke.ts";
import type { createEntry } from "../journeys/entry/create.ts";
import type { deleteEntry } from "../journeys/entry/delete.ts";
import type { addFederation } from "../journeys/federation/add.ts";
import type { refreshFederation } from "../journeys/federation/refresh.ts";
import type { removeFederation } from "../journeys/federation/remove.ts";
import type { ListedKey } from "../journeys/keys/list.ts";
import type { createJoinToken } from "../journeys/node/create-join-token.ts";
import type { evictNode } from "../journeys/node/evict.ts";
import type { readmitNode } from "../journeys/node/readmit.ts";
import type { createOperator } from "../journeys/operator/create.ts";
import type { applyPolicy } from "../journeys/policy/apply.ts";
import type { approvePolicy } from "../journeys/policy/approve.ts";
import type { explainDecision } from "../journeys/policy/explain.ts";
import type { previewPolicy } from "../journeys/policy/preview.ts";
import type { proposePolicy } from "../journeys/policy/propose.ts";
import type { withdrawPolicy } from "../journeys/policy/withdraw.ts";
import type { previewReach, ReachItemsPage } from "../journeys/reach-items.ts";
import type { RequestContext } from "../journeys/record/record.ts";
import type { createResource } from "../journeys/resource/create.ts";
import type { receiptOf } from "../journeys/revocation-receipt.ts";
import type { revokeTokenById } from "../journeys/token/revoke.ts";
import type { createTrustedIssuer } from "../journeys/trust/create-issuer.ts";
import type { distrustIssuer, unmapSubject } from "../journeys/trust/distrust-issuer.ts";
import type { mapSubject } from "../journeys/trust/map-subject.ts";
import type { createUser } from "../journeys/user/create.ts";
import type { offboardUser } from "../journeys/user/offboard.ts";

/** A journey with all that it needs: a function of its request alone. */
type Started<Journey> = Journey extends (deps: never, request: infer Request) => infer Answer
  ? (request: Request) => Answer
  : never;

/** The journeys that the admin API starts. Each throws DomainError. */
export interface AdminJourneys {
  readonly createUser: Started<typeof createUser>;
  readonly createAgent: Started<typeof createAgent>;
  readonly setAgentStatus: Started<typeof setAgentStatus>;
  readonly transferAgent: Started<typeof transferAgent>;
  /** Asks only: nothing is recorded. */
  readonly evaluateAccesses: Started<typeof evaluateEach>;
  readonly searchAccess: Started<typeof searchAccess>;
  readonly explainAccess: Started<typeof explainAccess>;
  readonly explainDecision: Started<typeof explainDecision>;
  readonly declareConfiguration: Started<typeof declareConfiguration>;
  readonly approveChecksum: Started<typeof approveChecksum>;
  readonly withdrawChecksum: Started<typeof withdrawChecksum>;
  readonly offboardUser: Started<typeof offboardUser>;
  readonly consentToDelegation: Started<typeof consentToDelegation>;
  readonly stopAgent: Started<typeof stopAgent>;
  readonly createResource: Started<typeof createResource>;
  readonly setClient: Started<typeof setClient>;
  readonly createTrustedIssuer: Started<typeof createTrustedIssuer>;
  readonly distrustIssuer: Started<typeof distrustIssuer>;
  readonly mapSubject: Started<typeof mapSubject>;
  readonly unmapSubject: Started<typeof unmapSubject>;
  readonly createOperator: Started<typeof createOperator>;
  readonly applyPolicy: Started<typeof applyPolicy>;
  readonly previewPolicy: Started<typeof previewPolicy>;
  readonly proposePolicy: Started<typeof proposePolicy>;
  readonly approvePolicy: Started<typeof approvePolicy>;
  readonly withdrawPolicy: Started<typeof withdrawPolicy>;
  readonly grantDelegation: Started<typeof grantDelegation>;
  readonly narrowDelegation: Started<typeof narrowDelegation>;
  readonly revokeDelegation: Started<typeof revokeDelegation>;
  readonly revokeTokenById: Started<typeof revokeTokenById>;
  /** Makes the receipt of a revocation again. */
  readonly readReceipt: Started<typeof receiptOf>;
  readonly refuseRequest: Started<typeof refuseRequest>;
  readonly authorizeAction: Started<typeof authorizeAction>;
  readonly reportAction: Started<typeof reportAction>;
  readonly createEntry: Started<typeof createEntry>;
  readonly deleteEntry: Started<typeof deleteEntry>;
  readonly createJoinToken: Started<typeof createJoinToken>;
  readonly evictNode: Started<typeof evictNode>;
  readonly readmitNode: Started<typeof readmitNode>;
  readonly addFederation: Started<typeof addFederation>;
  readonly removeFederation: Started<typeof removeFederation>;
  refreshFederation(request: {
    readonly caller: Principal;
    readonly context: RequestContext;
    readonly federation: FederatedTrustDomain;
  }): ReturnType<typeof refreshFederation>;
  rotateKeys(request: {
    readonly caller: Principal;
    readonly context: RequestContext;
    readonly purpose?: KeyPurpose;
  }): Promise<unknown>;
  taintAuthority(request: ChangeOfAuthority): Promise<void>;
  withdrawAuthority(request: ChangeOfAuthority): Promise<void>;
}

/** A change of one of the trust domain's authorities. */
export interface ChangeOfAuthority {
  readonly caller: Principal;
  readonly context: RequestContext;
  readonly id: string;
}

/** One page's worth of a list: at most `limit` rows whose id comes after `after`, by id. */
export interface PageRequest {
  readonly after: string | undefined;
  readonly limit: number;
}

/** A proposal, and what has become of it by now. */
export type StandingProposal = Omit<PolicyProposal, "status"> & { readonly status: ProposalStanding };

/** What the admin API reads. Every read is of one organization; a stranger's id finds nothing. */
export interface AdminRecords {
  findUser(organization: OrganizationId, id: UserId): Promise<User | undefined>;
  listUsers(organization: OrganizationId, page: PageRequest): Promise<readonly User[]>;
  findAgent(organization: OrganizationId, id: AgentId): Promise<Agent | undefined>;
  listAgents(organization: OrganizationId, page: PageRequest & AgentFilter): Promise<readonly Agent[]>;
  /** What else is known of an Agent that was found. */
  agentRecord(organization: OrganizationId, id: AgentId): Promise<AgentRecord>;
  /** What an Agent did, newest first; entries are JSON. */
  agentHistory(
    organization: OrganizationId,
    id: AgentId,
    page: { readonly before?: number | undefined; readonly limit: number },
  ): Promise<AgentHistory>;
  /** Those that are approved, and those that were. */
  listChecksums(
    organization: OrganizationId,
    agent: AgentId,
    page: PageRequest,
  ): Promise<readonly ChecksumApproval[]>;
  findResource(organization: OrganizationId, id: ResourceId): Promise<Resource | undefined>;
  listResources(organization: OrganizationId, page: PageRequest): Promise<readonly Resource[]>;
  /** An Agent or a Resource as the issuer meets it. */
  findClient(principal: Principal): Promise<Client | undefined>;
  findTrustedIssuer(organization: OrganizationId, id: TrustedIssuerId): Promise<TrustedIssuer | undefined>;
  listTrustedIssuers(organization: OrganizationId, page: PageRequest): Promise<readonly TrustedIssuer[]>;
  listSubjectMappings(
    organization: OrganizationId,
    page: PageRequest & { readonly issuer: TrustedIssuerId },
  ): Promise<readonly SubjectMapping[]>;
  findOperator(organization: OrganizationId, id: OperatorId): Promise<Operator | undefined>;
  listOperators(organization: OrganizationId, page: PageRequest): Promise<readonly Operator[]>;
  findAppliedPolicy(
    organization: OrganizationId,
    number: number | "current",
  ): Promise<AppliedPolicy | undefined>;
  /** By number, without their lines. */
  listAppliedPolicies(
    organization: OrganizationId,
    page: { readonly after: number; readonly limit: number },
  ): Promise<readonly AppliedPolicy[]>;
  /** As it stands now. */
  findPolicyProposal(organization: OrganizationId, id: ProposalId): Promise<StandingProposal | undefined>;
  /** Without their lines. */
  listPolicyProposals(organization: OrganizationId, page: PageRequest): Promise<readonly StandingProposal[]>;
  findNode(organization: OrganizationId, id: NodeId): Promise<Node | undefined>;
  /** Those that were evicted too. */
  listNodes(organization: OrganizationId, page: PageRequest): Promise<readonly Node[]>;
  findEntry(organization: OrganizationId, id: EntryId): Promise<RegistrationEntry | undefined>;
  /** Those that are not deleted. */
  listEntries(
    organization: OrganizationId,
    page: PageRequest & EntryFilter,
  ): Promise<readonly RegistrationEntry[]>;
  /** With all that it rests on: whether it holds depends on them. */
  findDelegation(organization: OrganizationId, id: DelegationId): Promise<DelegationChain | undefined>;
  /** What it has left of its budget, by unit; a unit that is absent is not limited. */
  budgetLeft(organization: OrganizationId, id: DelegationId): Promise<Readonly<Record<string, number>>>;
  listDelegations(
    organization: OrganizationId,
    page: PageRequest & { readonly party: AgentId | undefined },
  ): Promise<readonly DelegationChain[]>;
  findAction(organization: OrganizationId, id: ActionId): Promise<AccountedAction | undefined>;
  listActions(
    organization: OrganizationId,
    of: { readonly agent?: AgentId | undefined; readonly delegation?: DelegationId | undefined },
    page: PageRequest,
  ): Promise<readonly AccountedAction[]>;
  /** What was reported of an Agent, in the order of the log, behind an index. */
  listReports(
    organization: OrganizationId,
    agent: AgentId,
    page: { readonly afterIndex: number | undefined; readonly limit: number },
  ): Promise<readonly ActionReport[]>;
  accountabilityOf(
    organization: OrganizationId,
    agent: AgentId,
    unaccountedBefore: Date,
  ): Promise<Accountability>;
  /** What would end with this node if it were revoked now. */
  reachNow(node: RevokedNode): ReturnType<typeof previewReach>;
  findRevocation(organization: OrganizationId, index: number): Promise<Revocation | undefined>;
  /** As far as the published checkpoint covers them. */
  listRevocations(
    organization: OrganizationId,
    page: { readonly after: number; readonly limit: number },
  ): Promise<readonly Revocation[]>;
  /** What was reported after a revocation, of actions under what it reached. */
  readSupplement(
    revocation: Revocation,
    page: { readonly after: number | undefined; readonly limit: number },
  ): Promise<{
    readonly reports: readonly ActionReport[];
    readonly asOf: number;
    readonly next: number | undefined;
  }>;
  /** @throws DomainError `invalid_request` for a cursor that no page gave */
  listReach(
    revocation: Revocation,
    page: { readonly cursor?: string | undefined; readonly limit: number },
  ): Promise<ReachItemsPage>;
  /** The installation's, not an organization's. */
  findFederation(trustDomain: TrustDomain): Promise<FederatedTrustDomain | undefined>;
  listFederations(page: PageRequest): Promise<readonly FederatedTrustDomain[]>;
  listSigningKeys(): Promise<readonly ListedKey[]>;
}

export interface AdminDeps {
  readonly trustDomain: TrustDomain;
  readonly journeys: AdminJourneys;
  readonly records: AdminRecords;
  status(organization: OrganizationId): Promise<ServerStatusWire>;
}
