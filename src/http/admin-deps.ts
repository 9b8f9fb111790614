import type { LedgerPosition, PublicJwk, ServerStatusWire } from "@countersign/sdk/contract/admin-api";
import type { Audience } from "@countersign/sdk/model/audience";
import type {
  AgentId,
  DelegationId,
  OperatorId,
  OrganizationId,
  ResourceId,
  TokenId,
  UserId,
} from "@countersign/sdk/model/ids";
import type { OnwardTarget } from "@countersign/sdk/model/narrow";
import type { Scope } from "@countersign/sdk/model/scope";
import type { Principal, TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { RequestContext } from "../journeys/record.ts";
import type {
  AgentRecord,
  DelegationRecord,
  OperatorRecord,
  ResourceRecord,
  SigningKeyRecord,
  UserRecord,
} from "./records.ts";

interface Asked {
  readonly caller: Principal;
  readonly context: RequestContext;
}
/** What was made, and where that is recorded. */
interface Made<Id> {
  readonly id: Id;
  readonly ledger: LedgerPosition;
}
interface Recorded {
  /** When it took effect, in milliseconds since the epoch. */
  readonly atMs: number;
  readonly ledger: LedgerPosition;
}

/** What one party hands to an Agent; what is left out takes the journey's default. */
export interface DelegationTerms {
  readonly toAgent: AgentId;
  readonly resource: Audience;
  readonly scope: Scope;
  /** Milliseconds since the epoch. */
  readonly expiresAtMs?: number;
  readonly maxDepth?: number;
  readonly budget?: Readonly<Record<string, number>>;
  readonly onward?: readonly OnwardTarget[];
}

/** The journeys that the admin API starts. Each throws DomainError. */
export interface AdminJourneys {
  createUser(request: Asked & { name: string; email?: string }): Promise<Made<UserId>>;
  createAgent(
    request: Asked & {
      owner: UserId;
      name: string;
      kind: "manager" | "worker" | "tool";
      publicJwk: PublicJwk;
    },
  ): Promise<Made<AgentId>>;
  setAgentStatus(
    request: Asked & { agent: AgentId; status: "active" | "suspended" | "retired" },
  ): Promise<Recorded>;
  createResource(
    request: Asked & {
      audience: Audience;
      scope: Scope;
      owner?: UserId;
      open: boolean;
      publicJwk?: PublicJwk;
    },
  ): Promise<Made<ResourceId>>;
  createOperator(request: Asked & { name: string; publicJwk: PublicJwk }): Promise<Made<OperatorId>>;
  grantDelegation(request: Asked & { fromUser: UserId; terms: DelegationTerms }): Promise<Made<DelegationId>>;
  narrowDelegation(
    request: Asked & { parent: DelegationId; terms: DelegationTerms },
  ): Promise<Made<DelegationId>>;
  revokeDelegation(request: Asked & { delegation: DelegationId }): Promise<Recorded>;
  revokeTokenById(request: Asked & { token: TokenId }): Promise<Recorded>;
  rotateKeys(request: Asked & { purpose?: "token" | "log" }): Promise<void>;
}

/** One page's worth of a list: at most `limit` rows whose id comes after `after`, by id. */
export interface PageRequest {
  readonly after?: string;
  readonly limit: number;
}

/** What the admin API reads. Every read is of one organization; a stranger's id finds nothing. */
export interface AdminRecords {
  findUser(organization: OrganizationId, id: UserId): Promise<UserRecord | undefined>;
  listUsers(organization: OrganizationId, page: PageRequest): Promise<readonly UserRecord[]>;
  findAgent(organization: OrganizationId, id: AgentId): Promise<AgentRecord | undefined>;
  listAgents(organization: OrganizationId, page: PageRequest): Promise<readonly AgentRecord[]>;
  findResource(organization: OrganizationId, id: ResourceId): Promise<ResourceRecord | undefined>;
  listResources(organization: OrganizationId, page: PageRequest): Promise<readonly ResourceRecord[]>;
  findOperator(organization: OrganizationId, id: OperatorId): Promise<OperatorRecord | undefined>;
  listOperators(organization: OrganizationId, page: PageRequest): Promise<readonly OperatorRecord[]>;
  /** `status` is what it comes to, ancestors and parties included. */
  findDelegation(organization: OrganizationId, id: DelegationId): Promise<DelegationRecord | undefined>;
  listDelegations(organization: OrganizationId, page: PageRequest): Promise<readonly DelegationRecord[]>;
  listSigningKeys(): Promise<readonly SigningKeyRecord[]>;
}

export interface AdminDeps {
  readonly trustDomain: TrustDomain;
  readonly journeys: AdminJourneys;
  readonly records: AdminRecords;
  status(organization: OrganizationId): Promise<ServerStatusWire>;
}
