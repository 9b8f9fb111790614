import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { actorChainOf } from "@countersign/sdk/model/actor-chain";
import {
  type AgentId,
  type DelegationId,
  type LogId,
  logOf,
  type OrganizationId,
  parseId,
  parseOrganizationId,
} from "@countersign/sdk/model/ids";
import { isTokenOf } from "@countersign/sdk/model/recorded-token";
import { type Principal, principalOf, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { type Client, isLiveClient } from "../../domain/client.ts";
import { type DelegationChain, faultOf, recordedOf } from "../../domain/delegation-chain.ts";
import type { Resource } from "../../domain/resource.ts";

/** Reads of the present state: none may be cached, or a revoked token would live on. */
export interface LivenessDeps {
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  readonly now: () => number;
  /** @throws DomainError `ledger_behind`: then the database may have forgotten a revocation */
  readonly confirmLog: (log: LogId) => Promise<void>;
  /** Whether a token was revoked, and when the last of these Agents was stopped, in milliseconds since the epoch. */
  readonly endOfToken: (
    organization: OrganizationId,
    token: { readonly jti: string; readonly agents: readonly AgentId[] },
  ) => Promise<{ readonly revoked: boolean; readonly stoppedAtMs: number | undefined }>;
  readonly findDelegationChain: (
    organization: OrganizationId,
    id: DelegationId,
  ) => Promise<DelegationChain | undefined>;
  readonly findClient: (principal: Principal) => Promise<Client | undefined>;
  readonly findResourceByAudience: (
    organization: OrganizationId,
    audience: string,
  ) => Promise<Resource | undefined>;
}

export interface IntrospectDeps extends LivenessDeps {
  /** The claims of an access token whose signature, `typ`, `iss` and `exp` hold; undefined for anything else. */
  readonly verifyAccessToken: (token: string) => Promise<AccessTokenClaims | undefined>;
}

export interface IntrospectRequest {
  /** Authenticated. */
  readonly caller: Principal;
  readonly token: string;
}

/**
 * The claims of an active token, exactly as signed, for its audience Resource and its own client; undefined, which is
 * `active: false`, for everyone else and every other token. What the token rests on is read from the database now.
 *
 * @see RFC 7662, section 2.2
 */
export async function introspectToken(
  deps: IntrospectDeps,
  { caller, token }: IntrospectRequest,
): Promise<AccessTokenClaims | undefined> {
  const claims = await deps.verifyAccessToken(token);
  if (claims === undefined || claims.org !== caller.organization) return undefined;
  const live = await liveTokenOf(deps, claims);
  if (live === undefined) return undefined;
  const isAudience = caller.kind === "resource" && caller.id === live.audience.id;
  const isOwnClient = claims.client_id === spiffeIdOf(deps.trustDomain, caller);
  return isAudience || isOwnClient ? claims : undefined;
}

/** What a token that still carries authority rests on. */
export interface LiveToken {
  readonly audience: Resource;
  /** Of a token that redeemed a delegation. */
  readonly chain?: DelegationChain;
}

/**
 * What a token rests on that still carries authority: it is not revoked, its claims are what is recorded, and every hop,
 * agent, owner and party is live. Undefined for one that carries none.
 *
 * @param claims of a token whose signature was verified
 */
export async function liveTokenOf(
  deps: LivenessDeps,
  claims: AccessTokenClaims,
): Promise<LiveToken | undefined> {
  const organization = parseOrganizationId(claims.org);
  if (organization === undefined || claims.exp * 1000 <= deps.now()) return undefined;
  await deps.confirmLog(logOf(organization));
  const [{ revoked, stoppedAtMs }, live] = await Promise.all([
    deps.endOfToken(organization, { jti: claims.jti, agents: agentsOf(deps, claims) }),
    claims.delegation === undefined
      ? directToken(deps, organization, claims)
      : delegatedToken(deps, organization, claims),
  ]);
  // To resume an agent is to trust it from now on, not to give a stolen token its life back.
  const outlived = stoppedAtMs !== undefined && claims.iat * 1000 <= stoppedAtMs;
  return revoked || outlived ? undefined : live;
}

/** Every Agent that a token speaks of: its client, and each actor of its chain. */
function agentsOf({ trustDomain }: LivenessDeps, { client_id, act }: AccessTokenClaims): AgentId[] {
  const names = [client_id, ...(actorChainOf(act) ?? []).map(({ sub }) => sub)];
  const principals = names.map((name) => principalOf(trustDomain, name));
  return [...new Set(principals.flatMap((principal) => (principal?.kind === "agent" ? [principal.id] : [])))];
}

/** Of a token that redeemed a delegation: its claims must still be what the recorded path says. */
async function delegatedToken(
  deps: LivenessDeps,
  organization: OrganizationId,
  claims: AccessTokenClaims,
): Promise<LiveToken | undefined> {
  const id = parseId("delegation", claims.delegation ?? "");
  const chain = id && (await deps.findDelegationChain(organization, id));
  if (chain === undefined || faultOf(chain, deps.now()) !== undefined) return undefined;
  const recorded = recordedOf(chain, deps.issuer, deps.trustDomain);
  return isTokenOf(recorded, claims) ? { audience: chain.resource, chain } : undefined;
}

/** Of a token in which a client speaks for itself. */
async function directToken(
  deps: LivenessDeps,
  organization: OrganizationId,
  claims: AccessTokenClaims,
): Promise<LiveToken | undefined> {
  const principal = principalOf(deps.trustDomain, claims.client_id);
  if (principal === undefined || principal.organization !== organization) return undefined;
  if (claims.sub !== claims.client_id || claims.act !== undefined) return undefined;
  const [client, resource] = await Promise.all([
    deps.findClient(principal),
    deps.findResourceByAudience(organization, claims.aud),
  ]);
  const live = client !== undefined && isLiveClient(client, deps.now()) && resource?.status === "active";
  return live ? { audience: resource } : undefined;
}
