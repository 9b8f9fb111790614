import { randomBytes } from "node:crypto";
import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import type { DelegationId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal, TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { DecisionRequest, Verdict } from "../domain/decision.ts";
import { createAgent } from "../journeys/agent/create.ts";
import { setAgentStatus } from "../journeys/agent/set-status.ts";
import { grantDelegation } from "../journeys/delegation/grant.ts";
import { narrowDelegation } from "../journeys/delegation/narrow.ts";
import { revokeDelegation } from "../journeys/delegation/revoke.ts";
import { rotateKeys } from "../journeys/keys/rotate.ts";
import { createOperator } from "../journeys/operator/create.ts";
import type { RequestContext } from "../journeys/record.ts";
import { createRefusals } from "../journeys/refusals.ts";
import { createResource } from "../journeys/resource/create.ts";
import { exchangeToken } from "../journeys/token/exchange.ts";
import { introspectToken, liveAudienceOf } from "../journeys/token/introspect.ts";
import { issueToken } from "../journeys/token/issue.ts";
import { revokeToken, revokeTokenById } from "../journeys/token/revoke.ts";
import { createUser } from "../journeys/user/create.ts";
import { findAgent } from "../store/agents.ts";
import { findClient } from "../store/clients.ts";
import { findDelegationChain, reachOfAgent, reachOfDelegation } from "../store/delegations.ts";
import { createHotReads } from "../store/hot-reads.ts";
import { findResourceByAudience } from "../store/resources.ts";
import { isTokenRevoked } from "../store/revoked-tokens.ts";
import { findUser } from "../store/users.ts";
import type { OpenLedger } from "./open-ledger.ts";

/** Wraps a journey so that its runs are timed under its name. */
export type Timed = <Given extends unknown[], Result>(
  journey: string,
  run: (...given: Given) => Promise<Result>,
) => (...given: Given) => Promise<Result>;

export interface OpenJourneysDeps {
  readonly ledger: OpenLedger;
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  readonly decide: (request: DecisionRequest) => Verdict;
  /** The claims of an access token whose signature, `typ`, `iss` and `exp` hold; undefined for anything else. */
  readonly verifyAccessToken: (token: string) => Promise<AccessTokenClaims | undefined>;
  readonly timed: Timed;
}

export type OpenJourneys = ReturnType<typeof openJourneys>;

/** Gives every journey what it needs; the faces get functions of a request alone. */
export function openJourneys({ ledger, timed, decide, verifyAccessToken, ...identity }: OpenJourneysDeps) {
  const { db, sealer, keys } = ledger;
  const { append } = ledger.sequencer;
  const now = Date.now;
  const reads = createHotReads({ db, now });
  const refusals = createRefusals({ append, now });

  const recording = {
    append,
    recordRefusal: refusals.record,
    invalidate: reads.invalidate,
    now,
    randomBytes,
  };
  const deciding = { ...identity, ...recording, decide, sealer };
  // The token endpoint may read from caches: what they say is read again by the commit.
  const cached = {
    findClient: reads.client,
    findDelegationChain: reads.delegationChain,
    findResourceByAudience: reads.resourceByAudience,
  };
  // What answers at once for the present state reads the database.
  const present = {
    findUser: bound(findUser),
    findAgent: bound(findAgent),
    findClient: (principal: Principal) => findClient(db, principal),
    findDelegationChain: (organization: OrganizationId, id: DelegationId) =>
      findDelegationChain(db, organization, id),
    findResourceByAudience: bound(findResourceByAudience),
    isTokenRevoked: bound(isTokenRevoked),
  };
  const liveness = { ...identity, ...present, now };
  const reach = {
    reachOfDelegation: (delegation: Parameters<typeof reachOfDelegation>[1]) =>
      reachOfDelegation(db, delegation),
    reachOfAgent: bound(reachOfAgent),
  };
  const mutating = { ...deciding, ...present, ...reach, verifyAccessToken };

  function bound<Id, Found>(
    find: (on: typeof db, organization: OrganizationId, id: Id) => Promise<Found>,
  ): (organization: OrganizationId, id: Id) => Promise<Found> {
    return (organization, id) => find(db, organization, id);
  }

  function starts<Deps, Request, Result>(
    name: string,
    journey: (deps: Deps, request: Request) => Promise<Result>,
    deps: Deps,
  ): (request: Request) => Promise<Result> {
    return timed(name, (request: Request) => journey(deps, request));
  }

  return {
    reads,
    refusals,
    issueToken: starts("token.issue", issueToken, { ...deciding, ...cached }),
    exchangeToken: starts("token.exchange", exchangeToken, { ...deciding, ...cached }),
    introspectToken: starts("token.introspect", introspectToken, { ...liveness, verifyAccessToken }),
    revokeToken: starts("token.revoke", revokeToken, mutating),
    revokeTokenById: starts("token.revoke", revokeTokenById, mutating),
    grantDelegation: starts("delegation.grant", grantDelegation, mutating),
    narrowDelegation: starts("delegation.narrow", narrowDelegation, mutating),
    revokeDelegation: starts("delegation.revoke", revokeDelegation, mutating),
    createUser: starts("user.create", createUser, mutating),
    createAgent: starts("agent.create", createAgent, mutating),
    setAgentStatus: starts("agent.status", setAgentStatus, mutating),
    createResource: starts("resource.create", createResource, mutating),
    createOperator: starts("operator.create", createOperator, mutating),
    rotateKeys: timed("keys.rotate", ({ caller, context, purpose }: RotateKeysCall) =>
      rotateKeys(
        { db, sealer, now, append, reloadKeys: keys.reload },
        {
          by: { kind: caller.kind, id: caller.id },
          requestId: context.requestId,
          ...(purpose !== undefined && { purpose }),
        },
      ),
    ),
    /** Whether a token of this server's own API still carries authority. */
    isLive: async (claims: AccessTokenClaims) => (await liveAudienceOf(liveness, claims)) !== undefined,
  };
}

interface RotateKeysCall {
  readonly caller: Principal;
  readonly context: RequestContext;
  readonly purpose?: "token" | "log";
}
