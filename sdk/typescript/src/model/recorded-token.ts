import { type ActorChain, isActOf } from "./actor-chain.ts";
import { type AuthorizationDetails, covers } from "./authorization-details.ts";
import { sameJson } from "./bounded-json.ts";
import type { MayActClaim } from "./onward.ts";

/** What is recorded of a delegation and shows in its tokens. */
export interface RecordedDelegation {
  readonly delegation: string;
  readonly root: string;
  /** The User on whose behalf. */
  readonly subject: string;
  /** The Resource's audience in its registered form. */
  readonly audience: string;
  /** The presenter first; at least one. */
  readonly chain: ActorChain;
  readonly mayAct: MayActClaim | undefined;
  /** What a token has all of, or less. */
  readonly authorizationDetails: AuthorizationDetails;
}

/** The claims of an access token that say what it rests on. */
export interface DelegatedClaims {
  readonly sub: string;
  readonly aud: string;
  readonly client_id: string;
  readonly delegation?: string | undefined;
  readonly delegation_root?: string | undefined;
  readonly act?: unknown;
  readonly may_act?: unknown;
  readonly authorization_details?: unknown;
}

/**
 * Whether a token says of its delegation exactly what is recorded: on whose behalf, by whom, through whose hands, for
 * which resource, below which root, and who may act next. One that is spliced of two does not. Its
 * authorization_details are the delegation's, or narrower.
 *
 * @see RFC 8693, sections 4.1 and 4.4
 */
export function isTokenOf(recorded: RecordedDelegation, claims: DelegatedClaims): boolean {
  const { delegation, root, subject, audience, chain, mayAct, authorizationDetails } = recorded;
  const { authorization_details: details = [] } = claims;
  return (
    claims.delegation === delegation &&
    claims.delegation_root === root &&
    claims.sub === subject &&
    claims.aud === audience &&
    claims.client_id === chain[0]?.sub &&
    isActOf(chain, claims.act) &&
    (mayAct === undefined ? claims.may_act === undefined : sameJson({ ...mayAct }, claims.may_act)) &&
    covers(authorizationDetails, details)
  );
}
