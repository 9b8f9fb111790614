import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { actorChainOf } from "@countersign/sdk/model/actor-chain";
import {
  type AgentId,
  type LogId,
  logOf,
  type OrganizationId,
  parseOrganizationId,
} from "@countersign/sdk/model/ids";
import { type Principal, principalOf, spiffeIdOf } from "@countersign/sdk/model/spiffe-id";
import { type Grounds, type GroundsDeps, groundsOf } from "./grounds.ts";

/** Reads of the present state: none may be cached, or a revoked token would live on. */
export interface LivenessDeps extends GroundsDeps {
  readonly now: () => number;
  /** @throws DomainError `ledger_behind`: then the database may have forgotten a revocation */
  readonly confirmLog: (log: LogId) => Promise<void>;
  /** Whether a token was revoked, and when the last of these Agents was stopped, in milliseconds since the epoch. */
  readonly endOfToken: (
    organization: OrganizationId,
    token: { readonly jti: string; readonly agents: readonly AgentId[] },
  ) => Promise<{ readonly revoked: boolean; readonly stoppedAtMs: number | undefined }>;
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
  const isAudience = caller.kind === "resource" && caller.id === live.resource.id;
  const isOwnClient = claims.client_id === spiffeIdOf(deps.trustDomain, caller);
  return isAudience || isOwnClient ? claims : undefined;
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
): Promise<Grounds | undefined> {
  const organization = parseOrganizationId(claims.org);
  if (organization === undefined || claims.exp * 1000 <= deps.now()) return undefined;
  await deps.confirmLog(logOf(organization));
  const [{ revoked, stoppedAtMs }, grounds] = await Promise.all([
    deps.endOfToken(organization, { jti: claims.jti, agents: agentsOf(deps, claims) }),
    groundsOf(deps, organization, claims, deps.now()),
  ]);
  // To resume an agent is to trust it from now on, not to give a stolen token its life back.
  const outlived = stoppedAtMs !== undefined && claims.iat * 1000 <= stoppedAtMs;
  return grounds.live && !revoked && !outlived ? grounds : undefined;
}

/** Every Agent that a token speaks of: its client, and each actor of its chain. */
function agentsOf({ trustDomain }: LivenessDeps, { client_id, act }: AccessTokenClaims): AgentId[] {
  const names = [client_id, ...(actorChainOf(act) ?? []).map(({ sub }) => sub)];
  const principals = names.map((name) => principalOf(trustDomain, name));
  return [...new Set(principals.flatMap((principal) => (principal?.kind === "agent" ? [principal.id] : [])))];
}
