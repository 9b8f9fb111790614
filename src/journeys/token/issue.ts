import type { AccessTokenClaims, Confirmation } from "@countersign/sdk/contract/access-token";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import { nameScope, type Scope, scopeBeyond } from "@countersign/sdk/model/scope";
import { type Principal, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { type Client, isLiveClient } from "../../domain/client.ts";
import { DomainError } from "../../domain/domain-error.ts";
import type { Resource } from "../../domain/resource.ts";
import { allowedScopes, type DecideDeps, decideScopes } from "../decide-scopes.ts";
import { issueQuestion } from "../questions.ts";
import { active, clientConditions, sinceIssued } from "../record/conditions.ts";
import { attestationClaim } from "../record/proof.ts";
import { partyInactive, type RequestContext, record, refuse, type Trail, trailOf } from "../record/record.ts";
import type { Refusal } from "../record/refusal.ts";
import { type ProvisionDeps, provisionAgent } from "../trust/provision.ts";
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

export interface IssueDeps extends DecideDeps, ProvisionDeps, ProvenDeps {
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  /** These may be cached reads: what they say is read again by the commit. */
  readonly findClient: (principal: Principal) => Promise<Client | undefined>;
  readonly findResourceByAudience: (
    organization: OrganizationId,
    audience: string,
  ) => Promise<Resource | undefined>;
}

export interface IssueRequest {
  /** Authenticated; of a subject that was never seen, the Agent that it becomes. */
  readonly client: Principal;
  /** Default: this server's own API, the one Resource that a client has of its own. */
  readonly resource?: string | undefined;
  /** Default: all of the Resource's that policy allows the client. */
  readonly scope?: Scope | undefined;
  readonly confirmation?: Confirmation | undefined;
  readonly context: RequestContext;
}

/**
 * Issues a token in which a client speaks for itself alone: nothing was delegated, so there is no `act` and the
 * subject is the client. The claims are recorded before they are returned.
 *
 * @throws DomainError `unauthenticated` for a client that is gone, or whose proof no longer stands, `subject_not_active`,
 *   `invalid_target` for a Resource that is not there, `invalid_scope` for a scope it does not have, `not_authorized`,
 *   `invalid_request` for a token that would be too long, `ledger_unavailable`
 * @see RFC 6749, section 4.4; RFC 8707, section 2; RFC 9068, section 2.2
 */
export async function issueToken(deps: IssueDeps, request: IssueRequest): Promise<PreparedToken> {
  const { client: principal, context } = await admitted(deps, request);
  const nowMs = deps.now();
  const { jti, txn } = newTokenIds(deps, nowMs);
  const client = await deps.findClient(principal);
  if (client === undefined) throw new DomainError("unauthenticated", "there is no such client");
  const { owner, roles } = client;
  const asked: Trail = {
    ...trailOf(principal, context),
    txn,
    action: "token.issue",
    ...(owner && { owner: owner.id }),
  };
  if (!isLiveClient(client, nowMs)) {
    const reason = `${principal.id} or its owner is not active`;
    throw await refuse(deps, "token.refused", asked, "client", {
      code: "subject_not_active",
      publicDetail: partyInactive,
      reason,
    });
  }

  const proven = await provenConditions(deps, principal, context, asked);
  const target = request.resource ?? `${deps.issuer}/v1`;
  const resource = await deps.findResourceByAudience(principal.organization, target);
  if (resource === undefined || resource.status !== "active") {
    throw await refuse(deps, "token.refused", asked, "unknown", noTarget);
  }
  const trail: Trail = { ...asked, resource: resource.audience };
  const refused = (refusal: Refusal) => refuse(deps, "token.refused", trail, resource.id, refusal);

  const question = issueQuestion(principal, roles, resource);
  // Who may ask for nothing of a Resource does not learn that there is one.
  const isHidden = () =>
    resource.scope.every((token) => deps.decide({ ...question, scope: token }).effect === "deny");
  const scope = request.scope ?? orAll(allowedScopes(deps, question, resource.scope), resource.scope);
  const beyond = scopeBeyond(scope, resource.scope);
  if (scope.length === 0 || beyond.length > 0) throw await refused(isHidden() ? noTarget : noScope(beyond));

  const decided = decideScopes(deps, question, scope);
  if (decided.effect !== "allow") {
    throw await refused(isHidden() ? { ...decided.refusal, ...untold } : decided.refusal);
  }

  const sub = spiffeIdOf(deps.trustDomain, principal);
  const claims: AccessTokenClaims = {
    iss: deps.issuer,
    sub,
    sub_profile: principal.kind === "agent" ? "ai_agent" : "service",
    aud: resource.audience,
    client_id: sub,
    org: principal.organization,
    jti,
    ...tokenTimes(
      nowMs,
      Math.min(nowMs + tokenLifetimeSeconds * 1000, client.expiresAtMs ?? Number.POSITIVE_INFINITY),
    ),
    scope: scope.join(" "),
    txn,
    ...(request.confirmation && { cnf: request.confirmation }),
    ...obligationsClaim(decided.decision),
    ...attestationClaim(context.restsOn),
  };
  const oversize = sizeRefusal(claims);
  if (oversize !== undefined) throw await refused(oversize);
  const ledger = await record(deps, {
    type: "token.issued",
    refusedAs: "token.refused",
    trail,
    outcome: { scope: [...scope], decision: decided.decision, jti, claims_hash: hashOfClaims(claims) },
    writes: [decided.write],
    conditions: sinceIssued([...clientConditions(client), active("resource", resource.id)], claims.iat),
    proven,
    demands: context.demands,
  });
  return { claims, ledger };
}

/** Who asks, by what proof: a subject that was never seen becomes an Agent here, when all that its sender owes is proven. */
async function admitted(
  deps: IssueDeps,
  { client, context }: IssueRequest,
): Promise<Pick<IssueRequest, "client" | "context">> {
  const { restsOn: proof } = context;
  if (proof?.kind !== "new_subject" || client.kind !== "agent") return { client, context };
  const { organization, id } = client;
  const { agent, mapping, rule } = await provisionAgent(deps, { organization, agent: id, proof, context });
  const { trustedIssuer, checksum } = proof;
  const restsOn = { kind: "assertion", trustedIssuer, mapping, rule, checksum } as const;
  return { client: { ...client, id: agent }, context: { ...context, restsOn } };
}

/** Where nothing is allowed, everything is asked for: the refusal then names the rule. */
function orAll(allowed: Scope, all: Scope): Scope {
  return allowed.length > 0 ? allowed : all;
}

const untold = {
  code: "invalid_target",
  publicDetail: "name a resource that this client may ask for",
} as const;
const noTarget: Refusal = { ...untold, reason: "no such resource for this client" };

function noScope(beyond: Scope): Refusal {
  const publicDetail = "the scope is not one of the resource's";
  return {
    code: "invalid_scope",
    publicDetail,
    reason: `not the resource's: ${nameScope(beyond)}`,
  };
}
