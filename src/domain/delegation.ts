import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import type {
  AgentId,
  DelegationId,
  OperatorId,
  OrganizationId,
  ResourceId,
  TokenId,
  UserId,
} from "@countersign/sdk/model/ids";
import type { Authority, Grant } from "@countersign/sdk/model/narrow";
import type { OnwardTarget } from "@countersign/sdk/model/onward";
import type { Scope } from "@countersign/sdk/model/scope";
import type { Resource } from "./resource.ts";

export type DelegationStatus = "active" | "revoked";

/** An onward target with the tenure of its Agent for which a User let it be listed: in any other it redeems nothing. */
export interface ListedTarget extends OnwardTarget {
  readonly tenure: number;
}

/** Authority that a grantor gave a grantee: one node of a tree whose root a User granted. */
export interface Delegation {
  readonly id: DelegationId;
  readonly organization: OrganizationId;
  readonly root: DelegationId;
  readonly parent: DelegationId | undefined;
  /** From the root to this one. */
  readonly path: readonly DelegationId[];
  readonly subject: UserId;
  /** The grantee of the parent; undefined where the subject granted. */
  readonly grantor: AgentId | undefined;
  readonly grantee: AgentId;
  /** The tenure of the grantee for which it was given or last consented to; in any other it rests. */
  readonly granteeTenure: number;
  readonly resource: ResourceId;
  readonly scope: Scope;
  readonly authorizationDetails: readonly JsonValue[];
  readonly budget: Readonly<Record<string, number>>;
  readonly onward: readonly ListedTarget[];
  /** The session that it is bound to; undefined: none. */
  readonly session: string | undefined;
  /** Whether no other User's authority is used in a transaction with it. */
  readonly exclusive?: true;
  readonly maxDepth: number;
  readonly expiresAtMs: number;
  /** Its own mark only: a delegation below a revoked one still says `active`. */
  readonly status: DelegationStatus;
  readonly assertedBy: OperatorId | undefined;
  /** The access token of the parent whose redemption made it; undefined where the grantor passed it on. */
  readonly redeemed: TokenId | undefined;
  readonly createdAtMs: number;
}

/** A root grant ends within this time; what needs more is granted again. */
const rootLifetimeSecondsMax = 366 * 24 * 3600;

/** Further hops that a root grant may allow at the most: chains end where verifiers stop walking. */
const rootDepthMax = 15;

/** What a Delegation lets its grantee do. */
export function grantOf(delegation: Delegation, { audience }: Resource): Grant {
  const { scope, authorizationDetails, expiresAtMs, maxDepth, budget, onward, session, exclusive } =
    delegation;
  return {
    resource: audience,
    scope,
    authorizationDetails,
    expiresAtMs,
    maxDepth,
    budget,
    onward,
    session,
    ...(exclusive && { exclusive }),
  };
}

/** What a User may give away of a Resource in the first place: every root grant narrows it. */
export function rootGrantOf(resource: Resource, nowMs: number): Authority {
  return {
    resource: resource.audience,
    scope: resource.scope,
    authorizationDetails: [],
    expiresAtMs: nowMs + rootLifetimeSecondsMax * 1000,
    maxDepth: rootDepthMax + 1,
    budget: {},
    onward: "any",
    session: undefined,
  };
}
