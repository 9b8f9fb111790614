import { randomBytes } from "node:crypto";
import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import type { EntryId, NodeId, OrganizationId } from "@countersign/sdk/model/ids";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { isLoopback } from "../domain/loopback.ts";
import type { Node } from "../domain/node.ts";
import { fetchJson } from "../fetch/fetch-json.ts";
import { evaluateEach } from "../journeys/access/evaluate-each.ts";
import { searchAccess } from "../journeys/access/search.ts";
import { type AuthorizeRequest, authorizeAction } from "../journeys/action/authorize.ts";
import { type ReportRequest, reportAction } from "../journeys/action/report.ts";
import { explainAccess } from "../journeys/agent/access.ts";
import { approveChecksum } from "../journeys/agent/approve-checksum.ts";
import { createAgent } from "../journeys/agent/create.ts";
import { declareConfiguration } from "../journeys/agent/declare-configuration.ts";
import { setAgentStatus } from "../journeys/agent/set-status.ts";
import { stopAgent } from "../journeys/agent/stop.ts";
import { transferAgent } from "../journeys/agent/transfer.ts";
import { withdrawChecksum } from "../journeys/agent/withdraw-checksum.ts";
import { type AuthenticationFailure, countFailure } from "../journeys/authentication/count-failure.ts";
import { refuseRequest } from "../journeys/authentication/refuse-request.ts";
import { setClient } from "../journeys/client/set.ts";
import type { DecideDeps } from "../journeys/decide-scopes.ts";
import { consentToDelegation } from "../journeys/delegation/consent.ts";
import { grantDelegation } from "../journeys/delegation/grant.ts";
import { narrowDelegation } from "../journeys/delegation/narrow.ts";
import { revokeDelegation } from "../journeys/delegation/revoke.ts";
import { createEntry } from "../journeys/entry/create.ts";
import { deleteEntry } from "../journeys/entry/delete.ts";
import { createJoinToken } from "../journeys/node/create-join-token.ts";
import { evictNode } from "../journeys/node/evict.ts";
import { readmitNode } from "../journeys/node/readmit.ts";
import { createOperator } from "../journeys/operator/create.ts";
import { type ExplainDecisionDeps, explainDecision } from "../journeys/policy/explain.ts";
import type { RecordDeps } from "../journeys/record/record.ts";
import { createRefusals, type Refusals } from "../journeys/record/refusals.ts";
import { createResource } from "../journeys/resource/create.ts";
import { type ReceiptDeps, receiptOf } from "../journeys/revocation-receipt.ts";
import { type ExchangeRequest, exchangeToken } from "../journeys/token/exchange.ts";
import { type IntrospectRequest, introspectToken, liveTokenOf } from "../journeys/token/introspect.ts";
import { type IssueRequest, issueToken } from "../journeys/token/issue.ts";
import { demandProven, type ProvenClient } from "../journeys/token/proven.ts";
import { type RevokeTokenRequest, revokeToken, revokeTokenById } from "../journeys/token/revoke.ts";
import { type AssertIdentityRequest, assertIdentity } from "../journeys/trust/assert-identity.ts";
import { type AssertPersonRequest, assertPerson } from "../journeys/trust/assert-person.ts";
import { type CreateIssuerRequest, createTrustedIssuer } from "../journeys/trust/create-issuer.ts";
import {
  type DistrustRequest,
  distrustIssuer,
  type UnmapRequest,
  unmapSubject,
} from "../journeys/trust/distrust-issuer.ts";
import { createIssuerKeys } from "../journeys/trust/issuer-keys.ts";
import { type MapSubjectRequest, mapSubject } from "../journeys/trust/map-subject.ts";
import { createUser } from "../journeys/user/create.ts";
import { offboardUser } from "../journeys/user/offboard.ts";
import { createReceiptSigner } from "../keys/receipt-signer.ts";
import { entityIdsAfter, scopesNamed } from "../policy/catalogue.ts";
import { createHotReads, type HotReads } from "../store/hot-reads.ts";
import { findNode, listNodeSvids } from "../store/nodes.ts";
import { findEntry } from "../store/registration-entries.ts";
import { keyJourneys } from "./key-journeys.ts";
import { federationJourneys } from "./open-federation.ts";
import type { OpenLedger } from "./open-ledger.ts";
import type { OpenPolicy } from "./open-policy.ts";
import { policyJourneys } from "./policy-journeys.ts";
import { actionReads, presentState } from "./present-state.ts";

/** Wraps a journey so that its runs are timed under its name. */
export type Timed = <Given extends unknown[], Result>(
  journey: string,
  run: (...given: Given) => Promise<Result>,
) => (...given: Given) => Promise<Result>;

export interface OpenJourneysDeps {
  readonly ledger: OpenLedger;
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  readonly policies: Pick<OpenPolicy, "currentPolicy" | "decide" | "loadPolicy" | "reload">;
  /** The claims of an access token whose signature, `typ`, `iss` and `exp` hold; undefined for anything else. */
  readonly verifyAccessToken: (token: string) => Promise<AccessTokenClaims | undefined>;
  /** Whether a trusted issuer may be on this very machine. */
  readonly allowsLoopback: boolean;
  readonly timed: Timed;
}

/** Every journey, as a function of its request alone. */
export interface OpenJourneys extends TokenJourneys, Mutations, Federation {
  readonly reads: HotReads;
  readonly refusals: Refusals;
  readonly countFailure: (failure: AuthenticationFailure) => void;
}

type TokenJourneys = ReturnType<typeof tokenJourneys>;
type Mutations = ReturnType<typeof mutations>;
type Federation = ReturnType<typeof federationJourneys>;

/** Gives every journey what it needs. */
export function openJourneys(deps: OpenJourneysDeps): OpenJourneys {
  const { db } = deps.ledger;
  const { append } = deps.ledger.sequencer;
  const now = Date.now;
  const reads = createHotReads({ db, now });
  const refusals = createRefusals({ append, now });
  const recording = {
    issuer: deps.issuer,
    trustDomain: deps.trustDomain,
    append,
    recordRefusal: refusals.record,
    invalidate: reads.invalidate,
    now,
    randomBytes,
    decide: deps.policies.decide,
    currentPolicy: deps.policies.currentPolicy,
    allowsLoopback: deps.allowsLoopback,
    sealer: deps.ledger.sealer,
    verifyAccessToken: deps.verifyAccessToken,
    signReceipt: createReceiptSigner(() => deps.ledger.keys.tokenKeys().active),
  };
  return {
    reads,
    refusals,
    countFailure: (failure) => countFailure({ countRefusal: refusals.count }, failure),
    ...tokenJourneys(deps, recording, reads),
    ...mutations(deps, recording),
    ...federationJourneys(deps.ledger, recording, deps.timed),
  };
}

type Recording = RecordDeps &
  DecideDeps &
  Pick<ReceiptDeps, "signReceipt"> &
  Omit<OpenJourneysDeps, "ledger" | "timed" | "policies"> &
  Pick<ExplainDecisionDeps, "currentPolicy">;

function tokenJourneys(
  { ledger: { db, sequencer }, timed }: OpenJourneysDeps,
  recording: Recording,
  reads: HotReads,
) {
  const present = { ...recording, ...presentState(db), confirmLog: sequencer.confirm };
  // The token endpoint may read from caches: what they say is read again by the commit.
  const cached = {
    ...present,
    findClient: reads.client,
    findDelegationChain: reads.delegationChain,
    findResourceByAudience: reads.resourceByAudience,
    liveTokenOf: (claims: AccessTokenClaims) => liveTokenOf(present, claims),
  };
  const issuerKeys = createIssuerKeys({
    now: recording.now,
    fetchJson: (url) => fetchJson({ url, privateHosts: recording.allowsLoopback ? hostsHere(url) : [] }),
  });
  const asserting = { ...present, issuerKeys };
  return {
    assertIdentity: timed("identity.assert", (request: AssertIdentityRequest) =>
      assertIdentity(asserting, request),
    ),
    assertPerson: timed("identity.assert", (request: AssertPersonRequest) =>
      assertPerson(asserting, request),
    ),
    demandProven: timed("client.proven", (proven: ProvenClient) => demandProven(present, proven)),
    issueToken: timed("token.issue", (request: IssueRequest) => issueToken(cached, request)),
    exchangeToken: timed("token.exchange", (request: ExchangeRequest) => exchangeToken(cached, request)),
    introspectToken: timed("token.introspect", (request: IntrospectRequest) =>
      introspectToken(present, request),
    ),
    revokeToken: timed("token.revoke", (request: RevokeTokenRequest) => revokeToken(present, request)),
    authorizeAction: timed("action.authorize", (request: AuthorizeRequest) =>
      authorizeAction({ ...cached, ...actionReads(db) }, request),
    ),
    reportAction: timed("action.report", (request: ReportRequest) =>
      reportAction({ ...cached, ...actionReads(db) }, request),
    ),
    /** Whether a token of this server's own API still carries authority. */
    isLive: async (claims: AccessTokenClaims) => (await liveTokenOf(present, claims)) !== undefined,
  };
}

function mutations({ ledger, timed, policies }: OpenJourneysDeps, recording: Recording) {
  const { db } = ledger;
  const { trustDomain } = recording;
  const deps = {
    ...recording,
    ...presentState(db),
    ...catalogueReads(policies),
    findNode: (organization: OrganizationId, id: NodeId) => findNode(db, organization, id),
    listNodeSvids: (node: Node) => listNodeSvids(db, node),
    findEntry: (organization: OrganizationId, id: EntryId) => findEntry(db, trustDomain, organization, id),
  };
  const starts = <Request, Result>(
    name: string,
    journey: (given: typeof deps, request: Request) => Promise<Result>,
  ) => timed(name, (request: Request) => journey(deps, request));
  return {
    refuseRequest: starts("request.refuse", refuseRequest),
    revokeTokenById: starts("token.revoke", revokeTokenById),
    grantDelegation: starts("delegation.grant", grantDelegation),
    narrowDelegation: starts("delegation.narrow", narrowDelegation),
    revokeDelegation: starts("delegation.revoke", revokeDelegation),
    consentToDelegation: starts("delegation.consent", consentToDelegation),
    createUser: starts("user.create", createUser),
    offboardUser: starts("user.offboard", offboardUser),
    createAgent: starts("agent.create", createAgent),
    stopAgent: starts("agent.stop", stopAgent),
    setAgentStatus: starts("agent.status", setAgentStatus),
    transferAgent: starts("agent.transfer", transferAgent),
    explainAccess: starts("agent.access", explainAccess),
    explainDecision: starts("policy.explain", explainDecision),
    evaluateAccesses: starts("access.evaluate", evaluateEach),
    searchAccess: starts("access.search", searchAccess),
    declareConfiguration: starts("agent.configure", declareConfiguration),
    approveChecksum: starts("checksum.approve", approveChecksum),
    withdrawChecksum: starts("checksum.withdraw", withdrawChecksum),
    readReceipt: starts("revocation.receipt", receiptOf),
    createResource: starts("resource.create", createResource),
    setClient: starts("client.set", setClient),
    createEntry: starts("entry.create", createEntry),
    deleteEntry: starts("entry.delete", deleteEntry),
    createJoinToken: starts("join_token.create", createJoinToken),
    evictNode: starts("node.evict", evictNode),
    readmitNode: starts("node.readmit", readmitNode),
    ...trustMutations(deps, timed),
    createOperator: starts("operator.create", createOperator),
    ...policyJourneys(ledger, policies, timed, deps),
    ...keyJourneys(ledger.authorities, timed),
  };
}

function trustMutations(deps: Recording & ReturnType<typeof presentState>, timed: Timed) {
  return {
    createTrustedIssuer: timed("issuer.trust", (request: CreateIssuerRequest) =>
      createTrustedIssuer(deps, request),
    ),
    distrustIssuer: timed("issuer.distrust", (request: DistrustRequest) => distrustIssuer(deps, request)),
    mapSubject: timed("subject.map", (request: MapSubjectRequest) => mapSubject(deps, request)),
    unmapSubject: timed("subject.unmap", (request: UnmapRequest) => unmapSubject(deps, request)),
  };
}

/** What the policy in force knows by name. */
function catalogueReads({ currentPolicy }: OpenJourneysDeps["policies"]) {
  return {
    entityIdsAfter: (
      of: { readonly organization: OrganizationId; readonly type: string },
      page: { readonly after: string; readonly limit: number },
    ) => entityIdsAfter(currentPolicy(of.organization).catalogue, of, page),
    scopesNamed: (organization: OrganizationId) =>
      scopesNamed(currentPolicy(organization).catalogue, organization),
  };
}

/** The host of a URL that leads to this very machine by its name. */
function hostsHere(url: string): readonly string[] {
  const { host, hostname } = new URL(url);
  return isLoopback(hostname) ? [host] : [];
}
