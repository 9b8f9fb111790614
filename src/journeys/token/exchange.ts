import {
  type AccessTokenClaims,
  type accessTokenType,
  type Confirmation,
  delegationTokenType,
  type jwtTokenType,
} from "@countersign/sdk/contract/access-token";
import { actClaimOf } from "@countersign/sdk/model/actor-chain";
import { parseId, type TransactionId } from "@countersign/sdk/model/ids";
import { narrowToToken } from "@countersign/sdk/model/narrow";
import type { Scope } from "@countersign/sdk/model/scope";
import { type Principal, spiffeIdOf } from "@countersign/sdk/model/spiffe-id";
import { grantOf } from "../../domain/delegation.ts";
import { agentsEndAtMs, faultOf, recordedOf } from "../../domain/delegation-chain.ts";
import type { Condition } from "../../store/write.ts";
import { decideScopes } from "../decide-scopes.ts";
import { spend } from "../delegation/new-delegation.ts";
import {
  chainTrail,
  faultRefusal,
  notGranteeRefusal,
  targetOf,
  wideningRefusal,
} from "../delegation/refusal-reasons.ts";
import { exchangeQuestion } from "../questions.ts";
import { chainConditions, sinceIssued } from "../record/conditions.ts";
import { attestationClaim } from "../record/proof.ts";
import { type RequestContext, record, refuse, type Trail, trailOf } from "../record/record.ts";
import type { Refusal } from "../record/refusal.ts";
import { transactionUse } from "../record/session.ts";
import type { AssertedPerson } from "../trust/assert-person.ts";
import { transactionOfActor } from "./actor-token.ts";
import {
  hashOfClaims,
  newTokenIds,
  obligationsClaim,
  type PreparedToken,
  sizeRefusal,
  tokenLifetimeSeconds,
  tokenTimes,
} from "./prepared-token.ts";
import { type ProvenDeps, provenConditions } from "./proven.ts";
import { type RedeemAssertedDeps, redeemAsserted } from "./redeem-asserted.ts";
import { type Redeemable, type RedeemDeps, redeemOnward } from "./redeem-onward.ts";

export interface ExchangeDeps extends RedeemDeps, RedeemAssertedDeps, ProvenDeps {
  readonly issuer: string;
}

/** What a subject token may be: the handle of a delegation, or an access token of this issuer. */
export type SubjectTokenType = typeof delegationTokenType | typeof accessTokenType | typeof jwtTokenType;

export type ExchangeRequest = TokenExchangeRequest | PersonExchangeRequest;

/** Of a delegation, or of a token of one. */
export interface TokenExchangeRequest extends TokenWish {
  readonly subjectToken: string;
  readonly subjectTokenType: SubjectTokenType;
}

/** Of what an identity provider says of one of our Users, who delegated to the client. */
export interface PersonExchangeRequest extends TokenWish {
  /** Whom an assertion of theirs, which the commit uses up, is of. */
  readonly person: AssertedPerson;
}

interface TokenWish {
  /** Authenticated. */
  readonly client: Principal;
  /** An access token of the client's own: its transaction is joined, unless the subject token has one. */
  readonly actorToken?: string | undefined;
  /** Default: the delegation's; of an access token, the one that its delegation lists for the client. */
  readonly resource?: string | undefined;
  /** Default: all of the delegation's. */
  readonly scope?: Scope | undefined;
  /** RFC 9396 objects as they were sent: narrowing reads them, so that a refusal is recorded. Default: the delegation's. */
  readonly authorizationDetails?: unknown;
  readonly confirmation?: Confirmation | undefined;
  readonly context: RequestContext;
}

/**
 * Redeems a delegation, an access token of one that lists the client onward, or an identity provider's word of a User who
 * delegated to the client: the client gets a token that says on whose behalf and through whose hands, no wider than the
 * delegation and over when that is. The actor chain is the recorded path; nothing that the caller sends enters it. The
 * claims are recorded before they are returned.
 *
 * @throws DomainError `unauthenticated` for a client whose proof no longer stands; `invalid_delegation` alike for a delegation
 *   that is unknown, another agent's, revoked or over; `invalid_request` alike for an access token that can't be redeemed,
 *   and for a transaction that is over, and for a token that would be too long; `actor_unauthorized`, `session_mismatch`,
 *   `subject_not_active`, `invalid_target`, `scope_widening`, `invalid_authorization_details`, `not_authorized`,
 *   `budget_exhausted`, `ledger_unavailable`
 * @see RFC 8693, sections 2.1 and 4.1; RFC 9396, section 6
 */
export async function exchangeToken(deps: ExchangeDeps, request: ExchangeRequest): Promise<PreparedToken> {
  const { client, actorToken, context } = request;
  const nowMs = deps.now();
  const { jti, txn: newTxn } = newTokenIds(deps, nowMs);
  const asked: Trail = { ...trailOf(client, context), txn: newTxn, action: "token.exchange" };

  const proven = await provenConditions(deps, client, context, asked);
  const joined =
    actorToken === undefined ? newTxn : await transactionOfActor(deps, client, actorToken, asked);
  const redeemable = await redeemableOf(deps, request, asked, { txn: joined, nowMs, proven });
  const { chain, txn, conditions, wish = request, detail } = redeemable;
  const trail = { ...asked, txn, ...chainTrail(chain) };
  const refused = (refusal: Refusal) =>
    refuse(deps, "token.refused", trail, chain.leaf.delegation.id, refusal);

  const fault = faultOf(chain, nowMs);
  if (fault !== undefined) throw await refused(faultRefusal(fault));

  const narrowing = narrowToToken(
    grantOf(chain.leaf.delegation, chain.resource),
    wish,
    nowMs,
    tokenLifetimeSeconds,
  );
  if (!narrowing.narrowed) throw await refused(wideningRefusal(narrowing));
  const { scope, resource, expiresAtMs, authorizationDetails: details } = narrowing.grant;
  const { iat, exp } = tokenTimes(nowMs, Math.min(expiresAtMs, agentsEndAtMs(chain)));
  if (exp <= iat)
    throw await refused(faultRefusal({ code: "invalid_delegation", reason: "less than a second is left" }));

  const decided = decideScopes(deps, exchangeQuestion(chain.leaf.agent, chain.resource), scope);
  if (decided.effect !== "allow") throw await refused(decided.refusal);

  const recorded = recordedOf(chain, deps.issuer, deps.trustDomain);
  const act = actClaimOf(recorded.chain);
  const claims: AccessTokenClaims = {
    iss: deps.issuer,
    sub: recorded.subject,
    sub_profile: "user",
    aud: resource,
    client_id: spiffeIdOf(deps.trustDomain, client),
    org: client.organization,
    jti,
    iat,
    exp,
    scope: scope.join(" "),
    txn,
    delegation: recorded.delegation,
    delegation_root: recorded.root,
    ...(request.confirmation && { cnf: request.confirmation }),
    ...attestationClaim(context.restsOn),
    ...(act && { act }),
    ...(recorded.mayAct && { may_act: { ...recorded.mayAct } }),
    ...(details.length > 0 && { authorization_details: [...details] }),
    ...obligationsClaim(decided.decision),
  };
  const oversize = sizeRefusal(claims);
  if (oversize !== undefined) throw await refused(oversize);
  const use = transactionUse(chain, txn);
  const ledger = await record(deps, {
    type: "token.issued",
    refusedAs: "token.refused",
    trail,
    outcome: {
      scope: [...scope],
      decision: decided.decision,
      jti,
      claims_hash: hashOfClaims(claims),
      ...(detail && { detail }),
    },
    writes: [decided.write, ...spend(chain.leaf.delegation, "tokens", 1), ...use.writes],
    conditions: [...sinceIssued(chainConditions(chain), iat), ...conditions, ...use.conditions],
    proven,
    demands: context.demands,
  });
  return { claims, ledger };
}

function redeemableOf(
  deps: ExchangeDeps,
  request: ExchangeRequest,
  asked: Trail,
  {
    txn,
    nowMs,
    proven,
  }: {
    readonly txn: TransactionId;
    readonly nowMs: number;
    readonly proven: readonly Condition[];
  },
): Promise<Redeemable> {
  if ("person" in request) return redeemAsserted(deps, request, asked, { txn, nowMs });
  return request.subjectTokenType === delegationTokenType
    ? ownDelegation(deps, request, asked, txn)
    : redeemOnward(deps, { ...request, proven }, asked, nowMs);
}

/** The delegation that a handle names, if it is the client's. */
async function ownDelegation(
  deps: ExchangeDeps,
  { client, subjectToken }: TokenExchangeRequest,
  asked: Trail,
  txn: TransactionId,
): Promise<Redeemable> {
  const handle = parseId("delegation", subjectToken);
  const chain = handle && (await deps.findDelegationChain(client.organization, handle));
  if (chain !== undefined && chain.leaf.agent.id === client.id) return { chain, txn, conditions: [] };
  // Whose the delegation is, and whether there is one, is nobody's business but its grantee's.
  const claimed = { ...asked, ...(handle && { delegation: handle }) };
  // An existing delegation is a target of its own, so that an attempt on it is never counted under a made-up one.
  throw await refuse(deps, "token.refused", claimed, targetOf(chain), notGranteeRefusal(chain));
}
