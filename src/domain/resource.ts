import type { Audience } from "@countersign/sdk/model/audience";
import type { OrganizationId, ResourceId, UserId } from "@countersign/sdk/model/ids";
import type { Scope } from "@countersign/sdk/model/scope";
import type { Relation } from "./decision.ts";

export type ResourceStatus = "active" | "retired";

/** A resource server. */
export interface Resource {
  readonly id: ResourceId;
  readonly organization: OrganizationId;
  /** The registered form: what `aud` carries. */
  readonly audience: Audience;
  readonly scope: Scope;
  readonly owner: UserId | undefined;
  /** Whether every User of the organization may grant its scopes. */
  readonly open: boolean;
  readonly status: ResourceStatus;
  readonly createdAtMs: number;
}

/** The Resource that is this server's own API, made at first start. */
export const apiScope: Scope = ["admin", "audit", "delegate", "evaluate", "report", "revocations"];

/** How a User stands to a Resource of their organization. */
export function relationOf(user: UserId, resource: Resource): Relation {
  if (resource.owner === user) return "owner";
  return resource.open ? "open" : "none";
}
