import { sameAudience, type Audience } from "./audience.ts";
import type { JsonValue } from "./canonical-json.ts";
import type { AgentId } from "./ids.ts";
import { type Scope, scopeBeyond } from "./scope.ts";

/** What one Delegation lets its grantee do, in every dimension in which authority can narrow. */
export interface Grant {
  readonly resource: Audience;
  readonly scope: Scope;
  /** RFC 9396 objects; empty when the scope alone says it all. */
  readonly authorizationDetails: readonly JsonValue[];
  /** Milliseconds since the epoch. */
  readonly expiresAtMs: number;
  /** How many further hops may follow: 0 means the grantee can't delegate on. */
  readonly maxDepth: number;
  /** Allowance per unit (`tokens`, `calls` …); a unit that is absent is not limited. */
  readonly budget: Readonly<Record<string, number>>;
  /** Agents that may redeem an access token of this delegation by RFC 8693; empty: none. */
  readonly onward: readonly OnwardTarget[];
}

export interface OnwardTarget {
  readonly agent: AgentId;
  readonly resource: Audience;
  readonly scope: Scope;
}

/** What is asked of a parent Grant; what is left out is inherited at its narrowest default. */
export interface GrantRequest {
  readonly resource: string;
  readonly scope: Scope;
  readonly authorizationDetails?: readonly JsonValue[] | undefined;
  readonly expiresAtMs?: number | undefined;
  readonly maxDepth?: number | undefined;
  readonly budget?: Readonly<Record<string, number>> | undefined;
  readonly onward?: readonly OnwardTarget[] | undefined;
}

export type GrantDimension =
  | "resource"
  | "scope"
  | "authorization_details"
  | "expiry"
  | "depth"
  | "budget"
  | "onward";

export type Narrowing =
  | { readonly narrowed: true; readonly grant: Grant }
  | { readonly narrowed: false; readonly dimension: GrantDimension; readonly reason: string };

/** How long a Delegation lives when nobody said: the lesser of this and its parent's end. */
export const defaultLifetimeSeconds = 3600;

/**
 * The child Grant that `request` asks of `parent`, never wider than the parent in any dimension. An omitted expiry is
 * the lesser of one hour and the parent's end, an omitted depth the parent's less one; an explicit excess is refused,
 * and so is what can't be compared.
 */
export function narrow(parent: Grant, request: GrantRequest, nowMs: number): Narrowing {
  if (!sameAudience(parent.resource, request.resource)) {
    return refusal("resource", "the resource is not the one the parent delegation names");
  }
  if (request.scope.length === 0) return refusal("scope", "a delegation needs at least one scope");
  const beyond = scopeBeyond(request.scope, parent.scope);
  if (beyond.length > 0) return refusal("scope", `not in the parent's scope: ${beyond.join(" ")}`);

  const details = request.authorizationDetails ?? [];
  // Types of authorization_details have no comparison yet: asking for any can't be shown to be narrower.
  if (details.length > 0 || parent.authorizationDetails.length > 0) {
    return refusal("authorization_details", "authorization_details can't be compared with the parent's");
  }
  if (Object.keys(request.budget ?? {}).length > 0 || Object.keys(parent.budget).length > 0) {
    return refusal("budget", "a budget can't be compared with the parent's");
  }
  if ((request.onward ?? []).length > 0) return refusal("onward", "onward targets can't be compared with the parent's");

  const expiresAtMs = request.expiresAtMs ?? Math.min(nowMs + defaultLifetimeSeconds * 1000, parent.expiresAtMs);
  if (expiresAtMs > parent.expiresAtMs) return refusal("expiry", "it would outlive the parent delegation");
  if (expiresAtMs <= nowMs) return refusal("expiry", "it would have expired before it began");

  if (parent.maxDepth < 1) return refusal("depth", "the parent delegation allows no further hop");
  const maxDepth = request.maxDepth ?? parent.maxDepth - 1;
  if (!Number.isSafeInteger(maxDepth) || maxDepth < 0) return refusal("depth", "depth is a whole number from 0 up");
  if (maxDepth > parent.maxDepth - 1) return refusal("depth", `at most ${parent.maxDepth - 1} further hops are left`);

  return {
    narrowed: true,
    grant: {
      resource: parent.resource,
      scope: request.scope,
      authorizationDetails: [],
      expiresAtMs,
      maxDepth,
      budget: {},
      onward: [],
    },
  };
}

function refusal(dimension: GrantDimension, reason: string): Narrowing {
  return { narrowed: false, dimension, reason };
}
