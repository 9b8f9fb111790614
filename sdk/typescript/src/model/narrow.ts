import { type Audience, sameAudience } from "./audience.ts";
import type { JsonValue } from "./canonical-json.ts";
import type { AgentId } from "./ids.ts";
import { type Scope, scopeBeyond, scopeOf } from "./scope.ts";

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
  const hopsLeft = parent.maxDepth - 1;
  const maxDepth = request.maxDepth ?? hopsLeft;
  if (!isCount(hopsLeft)) return refusal("depth", "the parent delegation allows no further hop");
  if (!isCount(maxDepth)) return refusal("depth", "depth is a whole number from 0 up");
  if (maxDepth > hopsLeft) return refusal("depth", `at most ${hopsLeft} further hops are left`);
  const expiresAtMs =
    request.expiresAtMs ?? Math.min(nowMs + defaultLifetimeSeconds * 1000, parent.expiresAtMs);
  return within(parent, { ...request, expiresAtMs, maxDepth }, nowMs);
}

/** What a token is asked to carry of a Delegation; what is left out is all of it. */
export interface TokenRequest {
  readonly resource?: string | undefined;
  readonly scope?: Scope | undefined;
}

/**
 * What a token of `leaf` may carry: never wider than the delegation, and over when the delegation is. A token is the
 * end of a chain, so it costs no hop. Its lifetime is clamped, not refused.
 */
export function narrowToToken(
  leaf: Grant,
  request: TokenRequest,
  nowMs: number,
  lifetimeSeconds: number,
): Narrowing {
  const asked = {
    resource: request.resource ?? leaf.resource,
    scope: request.scope ?? leaf.scope,
    expiresAtMs: Math.min(nowMs + lifetimeSeconds * 1000, leaf.expiresAtMs),
    maxDepth: 0,
  };
  return within(leaf, asked, nowMs);
}

interface BoundedRequest extends GrantRequest {
  readonly expiresAtMs: number;
  readonly maxDepth: number;
}

/** Everything that must hold of a child whatever it is; only the cost of a hop is its caller's to check. */
function within(parent: Grant, request: BoundedRequest, nowMs: number): Narrowing {
  if (!sameAudience(parent.resource, request.resource)) {
    return refusal("resource", "the resource is not the one the delegation names");
  }
  const scope = scopeOf(request.scope);
  if (scope === undefined || scope.length === 0)
    return refusal("scope", "at least one well-formed scope is needed");
  const beyond = scopeBeyond(scope, parent.scope);
  if (beyond.length > 0) return refusal("scope", `not in the delegated scope: ${beyond.join(" ")}`);

  // No type of authorization_details, budget or onward target has a comparison yet: none can be shown to be narrower.
  if (parent.authorizationDetails.length > 0 || (request.authorizationDetails ?? []).length > 0) {
    return refusal("authorization_details", "authorization_details can't be compared");
  }
  if (hasMembers(parent.budget) || hasMembers(request.budget ?? {})) {
    return refusal("budget", "a budget can't be compared");
  }
  if ((request.onward ?? []).length > 0) return refusal("onward", "onward targets can't be compared");

  const { expiresAtMs, maxDepth } = request;
  if (!isCount(parent.expiresAtMs) || !isCount(expiresAtMs)) {
    return refusal("expiry", "an expiry is a point in time in whole milliseconds");
  }
  if (expiresAtMs > parent.expiresAtMs) return refusal("expiry", "it would outlive the delegation");
  if (expiresAtMs <= nowMs) return refusal("expiry", "it would have expired before it began");

  const grant = { resource: parent.resource, scope, expiresAtMs, maxDepth };
  return { narrowed: true, grant: { ...grant, authorizationDetails: [], budget: {}, onward: [] } };
}

// NaN compares as neither more nor less: what is no whole number is refused before anything is compared with it.
function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function hasMembers(record: Readonly<Record<string, unknown>>): boolean {
  return Object.keys(record).length > 0;
}

function refusal(dimension: GrantDimension, reason: string): Narrowing {
  return { narrowed: false, dimension, reason };
}
