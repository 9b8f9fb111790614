import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import type { Budget } from "@countersign/sdk/model/budget";
import type { JsonValue } from "@countersign/sdk/model/canonical-json";
import {
  type AgentId,
  type DelegationId,
  newId,
  type OrganizationId,
  parseId,
  type ResourceId,
  type TokenId,
  type TransactionId,
} from "@countersign/sdk/model/ids";
import type { Grant, TokenRequest } from "@countersign/sdk/model/narrow";
import { narrowOnward, type RedeemedToken } from "@countersign/sdk/model/narrow-onward";
import { parseScope, type Scope } from "@countersign/sdk/model/scope";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Agent } from "../../domain/agent.ts";
import { grantOf } from "../../domain/delegation.ts";
import type { DelegationChain } from "../../domain/delegation-chain.ts";
import type { Resource } from "../../domain/resource.ts";
import { joinableTransaction } from "../../domain/transaction.ts";
import type { Condition } from "../../store/write.ts";
import { type DecideDeps, decideScopes } from "../decide-scopes.ts";
import { delegationOutcome, delegationWrites, newDelegation } from "../delegation/new-delegation.ts";
import { chainTrail, granteeRefusal, wideningRefusal } from "../delegation/refusal-reasons.ts";
import { exchangeQuestion } from "../questions.ts";
import { active, activeAgent, chainConditions, notRevoked, sinceIssued } from "../record/conditions.ts";
import { type Happening, recordUnlessTaken, refuse, type Trail } from "../record/record.ts";
import type { Refusal } from "../record/refusal.ts";
import type { PresentedTokenDeps } from "./actor-token.ts";

export interface RedeemDeps extends DecideDeps, PresentedTokenDeps {
  /** These may be cached reads: what they say is read again by the commit. */
  readonly findDelegationChain: (
    organization: OrganizationId,
    id: DelegationId,
  ) => Promise<DelegationChain | undefined>;
  readonly findResourceByAudience: (
    organization: OrganizationId,
    audience: string,
  ) => Promise<Resource | undefined>;
  readonly findAgent: (organization: OrganizationId, id: AgentId) => Promise<Agent | undefined>;
  /** Not a cached read: somebody may have redeemed the token a moment ago. */
  readonly findRedeemedChain: (
    organization: OrganizationId,
    redemption: { readonly jti: TokenId; readonly grantee: AgentId; readonly resource: ResourceId },
  ) => Promise<DelegationChain | undefined>;
}

export interface RedeemRequest {
  /** Authenticated. */
  readonly client: Principal;
  readonly subjectToken: string;
  /** Default: the one that the delegation lists for the client. */
  readonly resource?: string | undefined;
  /** Default: all that the delegation, the token and the target have in common. */
  readonly scope?: Scope | undefined;
  /** As they were sent. Default: the token's. */
  readonly authorizationDetails?: unknown;
  /** That what the client proved itself by still stands. */
  readonly proven: readonly Condition[];
}

/** The delegation that a token is to be issued under, and the transaction that this belongs to. */
export interface Redeemable {
  readonly chain: DelegationChain;
  readonly txn: TransactionId;
  /** What of a redeemed token has to hold beside the chain: that nobody above was stopped since it was issued. */
  readonly conditions: readonly Condition[];
  /** What of the delegation is wanted. Default: what the request asks for. */
  readonly wish?: TokenRequest;
  /** What the entry says of what was redeemed. */
  readonly detail?: Readonly<Record<string, string>>;
}

/**
 * The child Delegation that a client gets for an access token that was issued to another: recorded with its entry the
 * first time, found again whenever the same client redeems the same token for the same Resource. It is within the leaf
 * delegation, the token and what the leaf lists for the client. To be the token's audience is not enough.
 *
 * @throws DomainError `invalid_request` alike for a token that is unknown, of another organization, expired, revoked or
 *   not delegated; `actor_unauthorized` for a client that is not listed; `invalid_target`, `scope_widening`,
 *   `invalid_authorization_details`, `not_authorized`, `budget_exhausted`, `subject_not_active`, `ledger_unavailable`
 * @see RFC 8693, section 2.1
 */
export async function redeemOnward(
  deps: RedeemDeps,
  request: RedeemRequest,
  asked: Trail,
  nowMs: number,
): Promise<Redeemable> {
  const { client } = request;
  const { organization } = client;

  const [claims, grantee] = await Promise.all([
    deps.verifyAccessToken(request.subjectToken),
    client.kind === "agent" ? deps.findAgent(organization, client.id) : undefined,
  ]);
  if (grantee === undefined) throw await refuse(deps, "token.refused", asked, "client", notListed);
  const id = claims?.org === organization ? parseId("delegation", claims.delegation ?? "") : undefined;
  const recorded = id && (await deps.findDelegationChain(organization, id));
  if (claims === undefined || recorded === undefined) {
    throw await refuse(deps, "token.refused", asked, "subject_token", noToken("no delegated token of ours"));
  }
  const trail: Trail = { ...asked, txn: claims.txn, ...chainTrail(recorded), owner: grantee.owner };
  const refused = (refusal: Refusal) =>
    refuse(deps, "token.refused", trail, recorded.leaf.delegation.id, refusal);

  // Before its liveness is looked at: that is not for others to learn than those whom the grantor listed.
  const isListed = recorded.leaf.delegation.onward.some(
    // Under another owner it is another party than the one that was listed.
    ({ agent, tenure }) => agent === grantee.id && tenure === grantee.tenure,
  );
  if (!isListed) throw await refused(notListed);
  const unfit = granteeRefusal(grantee, nowMs);
  if (unfit !== undefined) throw await refused(unfit);
  const chain = (await deps.liveTokenOf(claims))?.chain;
  const jti = parseId("token", claims.jti);
  const txn = joinableTransaction(claims.txn, nowMs);
  if (chain === undefined || jti === undefined || txn === undefined) {
    throw await refused(noToken("the token, its transaction or what it rests on is over"));
  }

  const leaf = grantOf(chain.leaf.delegation, chain.resource);
  const wish = {
    client: grantee.id,
    resource: request.resource,
    scope: request.scope,
    authorizationDetails: request.authorizationDetails,
    budget: shareOf(leaf.budget),
  };
  const narrowing = narrowOnward(leaf, authorityOf(claims), wish, nowMs);
  if (!narrowing.narrowed) throw await refused(wideningRefusal(narrowing));
  const { grant } = narrowing;
  const resource = await deps.findResourceByAudience(organization, grant.resource);
  if (resource === undefined) throw await refused(noResource);

  const redemption = { jti, grantee: grantee.id, resource: resource.id };
  const known = await deps.findRedeemedChain(organization, redemption);
  const conditions = sinceIssued(chainConditions(chain), claims.iat);
  if (known !== undefined) return { chain: known, txn, conditions };

  const made = await recordChild(deps, {
    chain,
    conditions,
    grantee,
    resource,
    jti,
    grant,
    trail,
    proven: request.proven,
    nowMs,
  });
  const child = made === "taken" ? await deps.findRedeemedChain(organization, redemption) : made;
  if (child === undefined) throw new Error("a redemption that was recorded is not there");
  return { chain: child, txn, conditions };
}

interface Child {
  /** The parent's. */
  readonly chain: DelegationChain;
  readonly conditions: readonly Condition[];
  readonly grantee: Agent;
  readonly resource: Resource;
  readonly jti: TokenId;
  readonly grant: Grant;
  readonly trail: Trail;
  readonly proven: readonly Condition[];
  readonly nowMs: number;
}

/** Where one redemption of a token by one agent for one Resource is taken. */
const redeemedOnceIndex = "delegation_redeemed";

/** Records the child, unless a concurrent request has just done so. */
async function recordChild(deps: RedeemDeps, child: Child): Promise<DelegationChain | "taken"> {
  const { chain, conditions, grantee, resource, jti, grant, trail, proven, nowMs } = child;
  const decided = decideScopes(deps, exchangeQuestion(grantee, resource), grant.scope);
  if (decided.effect !== "allow") {
    throw await refuse(deps, "token.refused", trail, chain.leaf.delegation.id, decided.refusal);
  }

  const id = newId("delegation", nowMs, deps.randomBytes(16));
  const standing = { id, above: chain.hops, subject: chain.subject.id, grantee, resource, redeemed: jti };
  const made = newDelegation(standing, { ...grant, onward: [] }, nowMs);
  const { delegation } = made.leaf;
  const happening: Happening = {
    type: "delegation.created",
    refusedAs: "token.refused",
    trail: { ...trail, resource: resource.audience, target: { kind: "agent", id: grantee.id } },
    outcome: { ...delegationOutcome(delegation), decision: decided.decision },
    writes: [...delegationWrites(delegation, chain.leaf.delegation), decided.write],
    conditions: [
      ...conditions,
      activeAgent(grantee),
      active("user", grantee.owner),
      active("resource", resource.id),
      notRevoked(jti),
    ],
    proven,
    // What the request demands comes with its token.
    demands: undefined,
  };
  const recorded = await recordUnlessTaken(deps, happening, [redeemedOnceIndex]);
  return recorded === "taken" ? recorded : made;
}

/** What a token says of its own authority. */
function authorityOf({ scope, authorization_details: details = [], exp }: AccessTokenClaims): RedeemedToken {
  return {
    scope: parseScope(scope ?? "") ?? [],
    // Claims were parsed from JSON.
    authorizationDetails: details as readonly JsonValue[],
    expiresAtMs: exp * 1000,
  };
}

/** One of each unit that the leaf limits: one token that is redeemed is worth one that is issued for it. */
function shareOf(budget: Budget): Budget {
  return Object.fromEntries(
    Object.entries(budget).map(([unit, allowance]) => [unit, Math.min(1, allowance)]),
  );
}

const notListed: Refusal = {
  code: "actor_unauthorized",
  publicDetail: "the delegation does not list this client onward",
  reason: "not one of the onward agents of the delegation",
};

/** The same for every token that can't be redeemed by anybody. */
function noToken(reason: string): Refusal {
  return {
    code: "invalid_request",
    publicDetail: "the subject_token is no live access token that can be redeemed",
    reason,
  };
}

const noResource: Refusal = {
  code: "invalid_target",
  publicDetail: "there is no such resource",
  reason: "the listed resource is not there",
};
