import type { PublicJwk, ServerStatusWire } from "@countersign/sdk/contract/admin-api";
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
import type { Scope } from "@countersign/sdk/model/scope";
import type { Principal, TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Agent, AgentKind, AgentStatus } from "../domain/agent.ts";
import type { DelegationChain } from "../domain/delegation-chain.ts";
import type { Operator } from "../domain/operator.ts";
import type { Resource } from "../domain/resource.ts";
import type { User } from "../domain/user.ts";
import type { DelegationTerms } from "../journeys/delegation/new-delegation.ts";
import type { ListedKey } from "../journeys/keys/list.ts";
import type { LedgerPosition, RequestContext } from "../journeys/record.ts";

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

/** The journeys that the admin API starts. Each throws DomainError. */
export interface AdminJourneys {
  createUser(request: Asked & { name: string; email?: string }): Promise<Made<UserId>>;
  createAgent(
    request: Asked & {
      owner: UserId;
      name: string;
      kind: AgentKind;
      publicJwk: PublicJwk;
    },
  ): Promise<Made<AgentId>>;
  setAgentStatus(request: Asked & { agent: AgentId; status: AgentStatus }): Promise<Recorded>;
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
  rotateKeys(request: Asked & { purpose?: "token" | "log" }): Promise<unknown>;
}

/** One page's worth of a list: at most `limit` rows whose id comes after `after`, by id. */
export interface PageRequest {
  readonly after: string | undefined;
  readonly limit: number;
}

/** What the admin API reads. Every read is of one organization; a stranger's id finds nothing. */
export interface AdminRecords {
  findUser(organization: OrganizationId, id: UserId): Promise<User | undefined>;
  listUsers(organization: OrganizationId, page: PageRequest): Promise<readonly User[]>;
  findAgent(organization: OrganizationId, id: AgentId): Promise<Agent | undefined>;
  listAgents(organization: OrganizationId, page: PageRequest): Promise<readonly Agent[]>;
  findResource(organization: OrganizationId, id: ResourceId): Promise<Resource | undefined>;
  listResources(organization: OrganizationId, page: PageRequest): Promise<readonly Resource[]>;
  findOperator(organization: OrganizationId, id: OperatorId): Promise<Operator | undefined>;
  listOperators(organization: OrganizationId, page: PageRequest): Promise<readonly Operator[]>;
  /** With all that it rests on: whether it holds depends on them. */
  findDelegation(organization: OrganizationId, id: DelegationId): Promise<DelegationChain | undefined>;
  listDelegations(organization: OrganizationId, page: PageRequest): Promise<readonly DelegationChain[]>;
  listSigningKeys(): Promise<readonly ListedKey[]>;
}

export interface AdminDeps {
  readonly trustDomain: TrustDomain;
  readonly journeys: AdminJourneys;
  readonly records: AdminRecords;
  status(organization: OrganizationId): Promise<ServerStatusWire>;
}
