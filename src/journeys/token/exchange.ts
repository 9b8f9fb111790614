import {
  type AccessTokenClaims,
  type Confirmation,
  delegationTokenType,
} from "@countersign/sdk/contract/access-token";
import { type DelegationId, type OrganizationId, parseId } from "@countersign/sdk/model/ids";
import { narrowToToken } from "@countersign/sdk/model/narrow";
import type { Scope } from "@countersign/sdk/model/scope";
import { type Principal, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { grantOf } from "../../domain/delegation.ts";
import { type DelegationChain, faultOf, recordedActOf } from "../../domain/delegation-chain.ts";
import { type DecideDeps, decideScopes } from "../decide-scopes.ts";
import { spend } from "../delegation/new-delegation.ts";
import {
  chainTrail,
  faultRefusal,
  notGranteeRefusal,
  targetOf,
  wideningRefusal,
} from "../delegation/refusal-reasons.ts";
import { chainConditions } from "../record/conditions.ts";
import {
  type RecordDeps,
  type Refusal,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import {
  hashOfClaims,
  newTokenIds,
  type PreparedToken,
  tokenLifetimeSeconds,
  tokenTimes,
} from "./prepared-token.ts";

export interface ExchangeDeps extends DecideDeps, RecordDeps {
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  /** May be a cached read: what it says is read again by the commit. */
  readonly findDelegationChain: (
    organization: OrganizationId,
    id: DelegationId,
  ) => Promise<DelegationChain | undefined>;
}

export interface ExchangeRequest {
  /** Authenticated. */
  readonly client: Principal;
  readonly subjectToken: string;
  readonly subjectTokenType: string;
  readonly actorToken?: string | undefined;
  /** Default: the delegation's. */
  readonly resource?: string | undefined;
  /** Default: all of the delegation's. */
  readonly scope?: Scope | undefined;
  readonly confirmation?: Confirmation | undefined;
  readonly context: RequestContext;
}

/**
 * Redeems a delegation: its grantee gets a token that says on whose behalf and through whose hands, no wider than the
 * delegation and over when that is. The actor chain is the recorded path; nothing that the caller sends enters it.
 * The claims are recorded before they are returned.
 *
 * @throws DomainError `invalid_request` for another kind of subject or actor token; `invalid_delegation` alike for one
 *   that is unknown, another agent's, revoked or over; `subject_not_active`, `invalid_target`, `scope_widening`,
 *   `not_authorized`, `ledger_unavailable`
 * @see RFC 8693, sections 2.1 and 4.1
 */
export async function exchangeToken(deps: ExchangeDeps, request: ExchangeRequest): Promise<PreparedToken> {
  const { client, context } = request;
  const nowMs = deps.now();
  const { jti, txn } = newTokenIds(deps, nowMs);
  const asked: Trail = { ...trailOf(client, context), txn, action: "token.exchange" };

  const unfit = unfitTokens(request);
  if (unfit !== undefined) throw await refuse(deps, "token.refused", asked, "request", unfit);

  const handle = parseId("delegation", request.subjectToken);
  const chain = handle && (await deps.findDelegationChain(client.organization, handle));
  // Whose the delegation is, and whether there is one, is nobody's business but its grantee's.
  if (handle === undefined || chain === undefined || chain.leaf.agent.id !== client.id) {
    const claimed = { ...asked, ...(handle && { delegation: handle }) };
    // An existing delegation is a target of its own, so that an attempt on it is never counted under a made-up one.
    throw await refuse(deps, "token.refused", claimed, targetOf(chain), notGranteeRefusal(chain));
  }
  const trail = { ...asked, ...chainTrail(chain) };
  const refused = (refusal: Refusal) =>
    refuse(deps, "token.refused", trail, chain.leaf.delegation.id, refusal);

  const fault = faultOf(chain, nowMs);
  if (fault !== undefined) throw await refused(faultRefusal(fault));

  const narrowing = narrowToToken(
    grantOf(chain.leaf.delegation, chain.resource),
    request,
    nowMs,
    tokenLifetimeSeconds,
  );
  if (!narrowing.narrowed) throw await refused(wideningRefusal(narrowing.dimension, narrowing.reason));
  const { scope, resource, expiresAtMs, authorizationDetails: details } = narrowing.grant;
  const { iat, exp } = tokenTimes(nowMs, expiresAtMs);
  if (exp <= iat)
    throw await refused(faultRefusal({ code: "invalid_delegation", reason: "less than a second is left" }));

  const question = {
    organization: client.organization,
    subject: client.id,
    roles: ["agent", `kind:${chain.leaf.agent.kind}`],
    relation: "delegated",
    resource,
    action: "token.exchange",
  } as const;
  const decided = decideScopes(deps, question, scope);
  if (decided.effect !== "allow") throw await refused(decided.refusal);

  const act = recordedActOf(chain, deps.issuer, deps.trustDomain);
  const claims: AccessTokenClaims = {
    iss: deps.issuer,
    sub: chain.subject.id,
    sub_profile: "user",
    aud: resource,
    client_id: spiffeIdOf(deps.trustDomain, client),
    org: client.organization,
    jti,
    iat,
    exp,
    scope: scope.join(" "),
    txn,
    delegation: chain.leaf.delegation.id,
    delegation_root: chain.leaf.delegation.root,
    ...(request.confirmation && { cnf: request.confirmation }),
    ...(act && { act }),
    ...(details.length > 0 && { authorization_details: [...details] }),
  };
  const ledger = await record(deps, {
    type: "token.issued",
    refusedAs: "token.refused",
    trail,
    outcome: { scope: [...scope], decision: decided.decision, jti, claims_hash: hashOfClaims(claims) },
    writes: [decided.write, ...spend(chain.leaf.delegation, "tokens", 1)],
    conditions: chainConditions(chain),
  });
  return { claims, ledger };
}

/** Why the tokens sent are none that can be redeemed, or undefined. */
function unfitTokens({ subjectTokenType, actorToken }: ExchangeRequest): Refusal | undefined {
  const refusal = (publicDetail: string): Refusal => ({
    code: "invalid_request",
    publicDetail,
    reason: publicDetail,
  });
  if (subjectTokenType !== delegationTokenType) return refusal("only a delegation can be exchanged");
  // The authenticated client is the actor; a token that says so can add nothing, and one that says else is a lie.
  return actorToken === undefined ? undefined : refusal("a delegation is redeemed without an actor_token");
}
