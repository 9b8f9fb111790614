import { type Audience, sameAudience } from "./audience.ts";
import { type AuthorizationDetails, detailsBeyond, detailsFault } from "./authorization-details.ts";
import { type Budget, budgetBeyond } from "./budget.ts";
import { isCount } from "./count.ts";
import { type OnwardTarget, type OnwardTargets, onwardBeyond } from "./onward.ts";
import { nameScope, type Scope, scopeBeyond, scopeOf } from "./scope.ts";

/** What one Delegation lets its grantee do, in every dimension in which authority can narrow. */
export interface Grant {
  readonly resource: Audience;
  readonly scope: Scope;
  /** RFC 9396 objects; empty when the scope alone says it all. What is done has to be within both. */
  readonly authorizationDetails: AuthorizationDetails;
  /** Milliseconds since the epoch. */
  readonly expiresAtMs: number;
  /** How many further hops may follow: 0 means the grantee can't delegate on. */
  readonly maxDepth: number;
  readonly budget: Budget;
  /** Agents that may redeem an access token of this delegation by RFC 8693; empty: none. */
  readonly onward: readonly OnwardTarget[];
  /** The session that it is bound to; undefined: none. */
  readonly session: string | undefined;
  /** Whether no other person's authority may be used in a transaction with it, nor it in one with another's. */
  readonly exclusive?: true;
}

/** What there is to narrow: a Delegation's Grant, or what a User has to give in the first place. */
export interface Authority extends Omit<Grant, "onward"> {
  readonly onward: OnwardTargets;
}

/** What is asked of a parent; what is left out is inherited at its narrowest default. */
export interface GrantRequest {
  readonly resource: string;
  readonly scope: Scope;
  /** As it was sent. Default: the parent's. */
  readonly authorizationDetails?: unknown;
  /** Default: the lesser of one hour from now and the parent's. */
  readonly expiresAtMs?: number | undefined;
  /** Default: the parent's less one. */
  readonly maxDepth?: number | undefined;
  /** Default: no limit, which is refused where the parent has one. */
  readonly budget?: Budget | undefined;
  /** Default: none. */
  readonly onward?: readonly OnwardTarget[] | undefined;
  /** Default: the parent's. */
  readonly session?: string | undefined;
  /** Default: the parent's. */
  readonly exclusive?: boolean | undefined;
}

export type GrantDimension =
  | "resource"
  | "scope"
  | "authorization_details"
  | "expiry"
  | "depth"
  | "budget"
  | "onward"
  | "session"
  | "exclusive";

export type Narrowing = { readonly narrowed: true; readonly grant: Grant } | Refused;

/** What was asked for is not narrower. */
export interface Refused {
  readonly narrowed: false;
  readonly dimension: GrantDimension;
  readonly reason: string;
  /** Of authorization_details that can't be read, whatever the parent has. */
  readonly unreadable?: true;
}

const sessionId = /^[A-Za-z0-9._~:-]{1,128}$/;

/** How long a Delegation lives when nobody said: the lesser of this and its parent's end. */
export const defaultLifetimeSeconds = 3600;

/**
 * The child Grant that `request` asks of `parent`, never wider than the parent in any dimension. An explicit excess is
 * refused, and so is what can't be compared; nothing that was asked is changed to fit.
 */
export function narrow(parent: Authority, request: GrantRequest, nowMs: number): Narrowing {
  const hopsLeft = parent.maxDepth - 1;
  const maxDepth = request.maxDepth ?? hopsLeft;
  if (!isCount(hopsLeft)) return refusal("depth", "the parent delegation allows no further hop");
  if (!isCount(maxDepth)) return refusal("depth", "depth is a whole number from 0 up");
  if (maxDepth > hopsLeft) return refusal("depth", `at most ${hopsLeft} further hops are left`);
  const expiresAtMs =
    request.expiresAtMs ?? Math.min(nowMs + defaultLifetimeSeconds * 1000, parent.expiresAtMs);
  return within(parent, { ...request, expiresAtMs, maxDepth, budget: request.budget ?? {} }, nowMs);
}

/** What a token is asked to carry of a Delegation; what is left out is all of it. */
export interface TokenRequest {
  readonly resource?: string | undefined;
  readonly scope?: Scope | undefined;
  /** As it was sent. */
  readonly authorizationDetails?: unknown;
}

/**
 * What a token of `leaf` may carry: never wider than the delegation, and over when the delegation is. A token is the
 * end of a chain, so it costs no hop; it draws on the delegation's budget and has none of its own. Its lifetime is
 * clamped, not refused.
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
    authorizationDetails: request.authorizationDetails,
    expiresAtMs: Math.min(nowMs + lifetimeSeconds * 1000, leaf.expiresAtMs),
    maxDepth: 0,
    budget: leaf.budget,
  };
  return within(leaf, asked, nowMs);
}

interface BoundedRequest extends GrantRequest {
  readonly expiresAtMs: number;
  readonly maxDepth: number;
  readonly budget: Budget;
}

/** Everything that must hold of a child whatever it is; only the cost of a hop is its caller's to check. */
function within(parent: Authority, request: BoundedRequest, nowMs: number): Narrowing {
  const { authorizationDetails: asked } = request;
  const child: Grant = {
    resource: parent.resource,
    scope: scopeOf(request.scope) ?? [],
    // What can't be read is refused below.
    authorizationDetails: asked === undefined ? parent.authorizationDetails : (asked as AuthorizationDetails),
    expiresAtMs: request.expiresAtMs,
    maxDepth: request.maxDepth,
    budget: request.budget,
    onward: request.onward ?? [],
    session: request.session ?? parent.session,
    ...((request.exclusive ?? parent.exclusive) && { exclusive: true }),
  };
  return (
    refusedFor("resource", resourceBeyond(parent.resource, request.resource)) ??
    refusedFor("scope", scopeFault(parent.scope, child.scope)) ??
    unreadable(asked) ??
    refusedFor(
      "authorization_details",
      detailsBeyond(parent.authorizationDetails, child.authorizationDetails),
    ) ??
    refusedFor("budget", budgetBeyond(parent.budget, child.budget)) ??
    refusedFor("onward", onwardBeyond(parent.onward, child)) ??
    refusedFor("session", sessionBeyond(parent.session, child.session)) ??
    refusedFor("exclusive", exclusiveBeyond(parent.exclusive, request.exclusive)) ??
    refusedFor("expiry", expiryBeyond(parent.expiresAtMs, child.expiresAtMs, nowMs)) ?? {
      narrowed: true,
      grant: child,
    }
  );
}

function resourceBeyond(parent: Audience, asked: string): string | undefined {
  return sameAudience(parent, asked) ? undefined : "the resource is not the one the delegation names";
}

function scopeFault(parent: Scope, scope: Scope): string | undefined {
  if (scope.length === 0) return "at least one well-formed scope is needed";
  const beyond = scopeBeyond(scope, parent);
  return beyond.length > 0 ? `not in the delegated scope: ${nameScope(beyond)}` : undefined;
}

function sessionBeyond(parent: string | undefined, session: string | undefined): string | undefined {
  if (session === undefined) return undefined;
  if (!sessionId.test(session)) return "a session is 1 to 128 characters of A-Z a-z 0-9 . _ ~ : -";
  return parent === undefined || session === parent
    ? undefined
    : "the delegation is bound to another session";
}

function exclusiveBeyond(parent: boolean | undefined, asked: boolean | undefined): string | undefined {
  return parent && asked === false ? "the delegation is exclusive, and all below it" : undefined;
}

function expiryBeyond(parentMs: number, expiresAtMs: number, nowMs: number): string | undefined {
  if (!isCount(parentMs) || !isCount(expiresAtMs))
    return "an expiry is a point in time in whole milliseconds";
  if (expiresAtMs > parentMs) return `it would outlive the delegation${lastsUntil(parentMs)}`;
  return expiresAtMs <= nowMs ? "it would have expired before it began" : undefined;
}

// Beyond it there is no date to name.
const dateMsMax = 8_640_000_000_000_000;

function lastsUntil(ms: number): string {
  return ms <= dateMsMax ? `, which lasts until ${new Date(ms).toISOString()}` : "";
}

function unreadable(asked: unknown): Refused | undefined {
  const fault = asked === undefined ? undefined : detailsFault(asked);
  return fault === undefined ? undefined : { ...refusal("authorization_details", fault), unreadable: true };
}

function refusedFor(dimension: GrantDimension, reason: string | undefined): Narrowing | undefined {
  return reason === undefined ? undefined : refusal(dimension, reason);
}

function refusal(dimension: GrantDimension, reason: string): Refused {
  return { narrowed: false, dimension, reason };
}
