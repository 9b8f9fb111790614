import type { DelegationId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { type Client, isLiveClient } from "../domain/client.ts";
import { type DelegationChain, faultOf } from "../domain/delegation-chain.ts";
import type { Resource } from "../domain/resource.ts";
import { findClient } from "./clients.ts";
import type { Database } from "./database.ts";
import { findDelegationChain } from "./delegations.ts";
import { createLiveCache } from "./live-cache.ts";
import { findResourceByAudience } from "./resources.ts";

/** The reads of the token endpoint, cached. Whoever acts on one commits under conditions that are read again. */
export interface HotReads {
  readonly client: (principal: Principal) => Promise<Client | undefined>;
  readonly delegationChain: (
    organization: OrganizationId,
    id: DelegationId,
  ) => Promise<DelegationChain | undefined>;
  readonly resourceByAudience: (
    organization: OrganizationId,
    audience: string,
  ) => Promise<Resource | undefined>;
  /** Drops whatever rests on the thing of this id: a Delegation, Agent, User, Resource, Operator, Credential or token. */
  readonly invalidate: (id: string) => void;
  /** Drops everything: news of changes may have been lost. */
  readonly invalidateAll: () => void;
}

const maxAgeMs = 30_000;
const chainsMax = 20_000;
const clientsMax = 20_000;
const resourcesMax = 5_000;

/** Makes the cached reads of this process. */
export function createHotReads({ db, now }: { readonly db: Database; readonly now: () => number }): HotReads {
  const chains = createLiveCache<DelegationChain>({
    now,
    maxAgeMs,
    entriesMax: chainsMax,
    isLive: (chain) => faultOf(chain, now()) === undefined,
    restsOn: chainRestsOn,
  });
  const clients = createLiveCache<Client>({
    now,
    maxAgeMs,
    entriesMax: clientsMax,
    // What an operator closes again for an older client is closed at once, whether news of it arrives or not.
    isLive: (client) => isLiveClient(client, now()) && !client.profile.compat,
    restsOn: clientRestsOn,
  });
  const resources = createLiveCache<Resource>({
    now,
    maxAgeMs,
    entriesMax: resourcesMax,
    isLive: ({ status }) => status === "active",
    restsOn: ({ id }) => [id],
  });

  return {
    client: (principal) =>
      clients.read(`${principal.organization} ${principal.id}`, () => findClient(db, principal)),
    delegationChain: (organization, id) =>
      chains.read(`${organization} ${id}`, () => findDelegationChain(db, organization, id)),
    resourceByAudience: (organization, audience) =>
      resources.read(`${organization} ${audience}`, () => findResourceByAudience(db, organization, audience)),
    invalidate: (id) => {
      for (const cache of [chains, clients, resources]) cache.drop(id);
    },
    invalidateAll: () => {
      for (const cache of [chains, clients, resources]) cache.dropAll();
    },
  };
}

function chainRestsOn({ hops, subject }: DelegationChain): string[] {
  return [
    subject.id,
    ...hops.flatMap(({ delegation, agent, owner, resource }) => [
      delegation.id,
      agent.id,
      owner.id,
      resource.id,
      ...(delegation.redeemed === undefined ? [] : [delegation.redeemed]),
    ]),
  ];
}

function clientRestsOn({ principal, owner, credentials }: Client): string[] {
  return [principal.id, ...(owner === undefined ? [] : [owner.id]), ...credentials.map(({ id }) => id)];
}
