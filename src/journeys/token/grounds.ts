import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import { type DelegationId, type OrganizationId, parseId } from "@countersign/sdk/model/ids";
import { isTokenOf } from "@countersign/sdk/model/recorded-token";
import { type Principal, principalOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { type Client, isLiveClient } from "../../domain/client.ts";
import { type DelegationChain, faultOf, recordedOf } from "../../domain/delegation-chain.ts";
import type { Resource } from "../../domain/resource.ts";
import { chainTrail } from "../delegation/refusal-reasons.ts";
import type { Trail } from "../record/record.ts";

export interface GroundsDeps {
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
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

/** What a token's authority rests on: a delegation that was redeemed, or the client itself. */
export type Grounds =
  | { readonly live: true; readonly resource: Resource; readonly chain: DelegationChain }
  | OwnGrounds;

/** Of a client that speaks for itself. */
export interface OwnGrounds {
  readonly live: true;
  readonly resource: Resource;
  readonly client: Client;
  readonly chain?: undefined;
}

/** Why a token carries no authority any more, and what is known of it all the same. */
export interface NoGrounds {
  readonly live: false;
  readonly reason: string;
  readonly trail: Partial<Trail>;
}

/**
 * What a token rests on, as far as the reads it is given can tell: its claims are what is recorded, and every hop, agent,
 * owner and party is live. Whether it has expired or was revoked itself is another question.
 *
 * @param claims of a token of this organization whose signature was verified
 */
export function groundsOf(
  deps: GroundsDeps,
  organization: OrganizationId,
  claims: AccessTokenClaims,
  nowMs: number,
): Promise<Grounds | NoGrounds> {
  return claims.delegation === undefined
    ? ownGrounds(deps, organization, claims, nowMs)
    : delegatedGrounds(deps, organization, claims, nowMs);
}

/** Of a token that redeemed a delegation: its claims must still be what the recorded path says. */
async function delegatedGrounds(
  deps: GroundsDeps,
  organization: OrganizationId,
  claims: AccessTokenClaims,
  nowMs: number,
): Promise<Grounds | NoGrounds> {
  const id = parseId("delegation", claims.delegation ?? "");
  const chain = id && (await deps.findDelegationChain(organization, id));
  if (chain === undefined) return noGrounds("its delegation is not recorded as one path");
  const trail = chainTrail(chain);
  const fault = faultOf(chain, nowMs);
  if (fault !== undefined) return noGrounds(fault.reason, trail);
  return isTokenOf(recordedOf(chain, deps.issuer, deps.trustDomain), claims)
    ? { live: true, resource: chain.resource, chain }
    : noGrounds("its claims are not what is recorded", trail);
}

/** Of a token in which a client speaks for itself. */
async function ownGrounds(
  deps: GroundsDeps,
  organization: OrganizationId,
  claims: AccessTokenClaims,
  nowMs: number,
): Promise<Grounds | NoGrounds> {
  const principal = principalOf(deps.trustDomain, claims.client_id);
  if (principal === undefined || principal.organization !== organization)
    return noGrounds("it was issued to no client of this organization");
  if (claims.sub !== claims.client_id || claims.act !== undefined) return noGrounds("it names actors");
  const [client, resource] = await Promise.all([
    deps.findClient(principal),
    deps.findResourceByAudience(organization, claims.aud),
  ]);
  if (client === undefined || !isLiveClient(client, nowMs))
    return noGrounds(`${principal.id} or its owner is not active`);
  if (resource?.status === "active") return { live: true, resource, client };
  return noGrounds("its audience is not active", {
    ...(client.owner && { owner: client.owner.id }),
    resource: claims.aud,
  });
}

function noGrounds(reason: string, trail: Partial<Trail> = {}): NoGrounds {
  return { live: false, reason, trail };
}
