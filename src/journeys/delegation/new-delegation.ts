import { canonicalJson, type JsonValue } from "@countersign/sdk/model/canonical-json";
import type {
  AgentId,
  DelegationId,
  OperatorId,
  OrganizationId,
  ResourceId,
  UserId,
} from "@countersign/sdk/model/ids";
import type { Grant, GrantRequest, OnwardTarget } from "@countersign/sdk/model/narrow";
import type { Scope } from "@countersign/sdk/model/scope";
import type { Write } from "../../store/write.ts";

/** What one party hands to an Agent; what is left out takes its default. */
export interface DelegationTerms {
  readonly toAgent: AgentId;
  readonly resource: string;
  readonly scope: Scope;
  /** Milliseconds since the epoch. Default: the lesser of one hour from now and the parent's. */
  readonly expiresAtMs?: number | undefined;
  /** Further hops. Default: none for a root grant, the parent's less one for a child. */
  readonly maxDepth?: number | undefined;
  readonly authorizationDetails?: readonly JsonValue[] | undefined;
  readonly budget?: Readonly<Record<string, number>> | undefined;
  readonly onward?: readonly OnwardTarget[] | undefined;
}

/** The part of the terms that narrows the parent's. */
export function grantRequestOf({ toAgent: _, ...terms }: DelegationTerms): GrantRequest {
  return terms;
}

/** Where a new delegation stands and between whom. */
interface Standing {
  readonly id: DelegationId;
  readonly organization: OrganizationId;
  /** Of the parent; empty for a root. */
  readonly parentPath: readonly DelegationId[];
  readonly subject: UserId;
  readonly grantor: AgentId | undefined;
  readonly grantee: AgentId;
  readonly resource: ResourceId;
  readonly assertedBy: OperatorId | undefined;
}

/** The row of a delegation to be. */
export function delegationWrite(standing: Standing, grant: Grant, nowMs: number): Write {
  const path = [...standing.parentPath, standing.id];
  const row = {
    id: standing.id,
    organization_id: standing.organization,
    root_id: path[0] ?? standing.id,
    parent_id: standing.parentPath.at(-1) ?? null,
    path,
    subject_id: standing.subject,
    grantor_agent_id: standing.grantor ?? null,
    grantee_agent_id: standing.grantee,
    resource_id: standing.resource,
    scope: grant.scope,
    authorization_details: canonicalJson(grant.authorizationDetails),
    budget: canonicalJson(grant.budget),
    onward: canonicalJson(grant.onward.map(({ agent, resource, scope }) => ({ agent, resource, scope }))),
    max_depth: grant.maxDepth,
    expires_at: new Date(grant.expiresAtMs),
    status: "active",
    asserted_by: standing.assertedBy ?? null,
    created_at: new Date(nowMs),
  } as const;
  return { into: "delegation", row };
}

/** What the entry says of a delegation that was made. */
export function delegationDetail(grant: Grant) {
  return {
    scope: [...grant.scope],
    detail: { expires_at: new Date(grant.expiresAtMs).toISOString(), max_depth: grant.maxDepth },
  };
}
