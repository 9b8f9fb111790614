import { sameAudience } from "./audience.ts";
import { type AuthorizationDetails, detailsBeyond } from "./authorization-details.ts";
import type { Budget } from "./budget.ts";
import type { AgentId } from "./ids.ts";
import { type Grant, type GrantDimension, type Narrowing, narrow } from "./narrow.ts";
import type { Scope } from "./scope.ts";

/** What an access token that is redeemed says of its own authority. */
export interface RedeemedToken {
  readonly scope: Scope;
  readonly authorizationDetails: AuthorizationDetails;
  /** Milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

/** What the authenticated client asks for in exchange. */
export interface OnwardRequest {
  readonly client: AgentId;
  /** Default: the one that the delegation lists for the client. */
  readonly resource?: string | undefined;
  /** Default: all that leaf, token and target have in common. */
  readonly scope?: Scope | undefined;
  /** As it was sent. Default: the token's. */
  readonly authorizationDetails?: unknown;
  /** Default: no limit, which is refused where the leaf has one. */
  readonly budget?: Budget | undefined;
}

/**
 * The Grant of the child Delegation that comes of redeeming an access token by RFC 8693: within the leaf that the token
 * was issued for, within the token itself, and within what the leaf's `onward` lists for this client. To be the token's
 * audience is not enough. It costs a hop; it is over when the token is; it lists nobody onward.
 *
 * @see RFC 8693, section 2
 */
export function narrowOnward(
  leaf: Grant,
  token: RedeemedToken,
  request: OnwardRequest,
  nowMs: number,
): Narrowing {
  const { client, resource, ...asked } = request;
  const own = leaf.onward.filter(({ agent }) => agent === client);
  const targets = own.filter((one) => resource === undefined || sameAudience(one.resource, resource));
  const [target, ...others] = targets;
  if (own.length === 0) return refusal("onward", "the delegation does not list this client");
  if (target === undefined)
    return refusal("resource", "the delegation lists another resource for this client");
  if (others.length > 0) return refusal("resource", "the delegation lists several resources: name one");

  const widened = detailsBeyond(leaf.authorizationDetails, token.authorizationDetails);
  if (widened !== undefined) return refusal("authorization_details", `the token's: ${widened}`);
  const common = leaf.scope.filter((one) => token.scope.includes(one) && target.scope.includes(one));
  const parent: Grant = {
    ...leaf,
    resource: target.resource,
    scope: common,
    authorizationDetails: token.authorizationDetails,
    expiresAtMs: Math.min(leaf.expiresAtMs, token.expiresAtMs),
    onward: [],
  };
  return narrow(parent, { ...asked, resource: target.resource, scope: asked.scope ?? common }, nowMs);
}

function refusal(dimension: GrantDimension, reason: string): Narrowing {
  return { narrowed: false, dimension, reason };
}
