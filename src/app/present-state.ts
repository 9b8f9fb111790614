import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { TrustedIssuer, TrustQuery } from "../domain/trusted-issuer.ts";
import { findAction, findNearestUnreported, listReportsLike } from "../store/actions.ts";
import { findChecksum } from "../store/agent-checksums.ts";
import { findAgent, listAgents } from "../store/agents.ts";
import { readBudgetsLeft } from "../store/budgets.ts";
import { findClient } from "../store/clients.ts";
import type { Database } from "../store/database.ts";
import {
  findDelegationChain,
  findGrantedChain,
  findRedeemedChain,
  listDelegationChains,
} from "../store/delegations.ts";
import {
  listReach,
  listStoppedAgents,
  type ReachPage,
  type ReachQuery,
  type StoppedPage,
} from "../store/reach.ts";
import { listReservations } from "../store/reservations.ts";
import { findResource, findResourceByAudience, listResources } from "../store/resources.ts";
import { endOfToken, isTokenRevoked } from "../store/revoked-tokens.ts";
import { findSvid } from "../store/svids.ts";
import {
  countProvisioned,
  findSubjectMapping,
  findTrustedIssuer,
  listMappingsOf,
  listTrustsIn,
} from "../store/trusted-issuers.ts";
import { findUser, listUsers } from "../store/users.ts";

/** Reads of the present state, for what must answer with it at once. */
export function presentState(db: Database) {
  const read = readerOf(db);
  return {
    findUser: read(findUser),
    findAgent: read(findAgent),
    findChecksum: read(findChecksum),
    findClient: (principal: Principal) => findClient(db, principal),
    findDelegationChain: read(findDelegationChain),
    findRedeemedChain: read(findRedeemedChain),
    findGrantedChain: read(findGrantedChain),
    findResourceByAudience: read(findResourceByAudience),
    listHeldDelegations: read(listDelegationChains),
    findResource: read(findResource),
    listResources: read(listResources),
    listAgents: read(listAgents),
    listUsers: read(listUsers),
    readBudgetsLeft: read(readBudgetsLeft),
    isTokenRevoked: read(isTokenRevoked),
    endOfToken: read(endOfToken),
    findTrustedIssuer: read(findTrustedIssuer),
    findSubjectMapping: read(findSubjectMapping),
    countProvisioned: read(countProvisioned),
    findSvid: read(findSvid),
    listTrustsIn: (query: TrustQuery) => listTrustsIn(db, query),
    listMappingsOf: (trust: Pick<TrustedIssuer, "id" | "organization">, subject: string) =>
      listMappingsOf(db, trust, subject),
    listReach: (reach: ReachQuery, page: ReachPage) => listReach(db, reach, page),
    listStoppedAgents: (reach: ReachQuery, page: StoppedPage) => listStoppedAgents(db, reach, page),
  };
}

/** Reads of what was granted and reported. */
export function actionReads(db: Database) {
  const read = readerOf(db);
  return {
    findAction: read(findAction),
    findNearestUnreported: read(findNearestUnreported),
    listReportsLike: read(listReportsLike),
    listReservations: read(listReservations),
  };
}

function readerOf(db: Database) {
  return <Of, Found>(find: (on: Database, organization: OrganizationId, of: Of) => Promise<Found>) =>
    (organization: OrganizationId, of: Of) =>
      find(db, organization, of);
}
