import { generateKeyPairSync, randomBytes } from "node:crypto";
import { type AccessTokenClaims, accessTokenClaimsSchema } from "@countersign/sdk/contract/access-token";
import {
  type ActionId,
  type AgentId,
  type DelegationId,
  type NodeId,
  type OrganizationId,
  parseOrganizationId,
  type SubjectMappingId,
  type UserId,
} from "@countersign/sdk/model/ids";
import { type Principal, parseTrustDomain } from "@countersign/sdk/model/spiffe-id";
import { createLocalJWKSet, jwtVerify, SignJWT } from "jose";
import { createRefusals } from "../../src/journeys/record/refusals.ts";
import { liveTokenOf } from "../../src/journeys/token/introspect.ts";
import { keyEncryptionKeyOf } from "../../src/keys/key-encryption-key.ts";
import { createReceiptSigner } from "../../src/keys/receipt-signer.ts";
import { openSealer } from "../../src/keys/sealer.ts";
import { signEs256 } from "../../src/keys/sign-es256.ts";
import { publicTokenJwk } from "../../src/keys/signing-key.ts";
import { createSequencer } from "../../src/ledger/sequencer.ts";
import { decide } from "../../src/policy/decide.ts";
import { readShippedPolicy } from "../../src/policy/policy-files.ts";
import { loadPolicy } from "../../src/policy/snapshot.ts";
import { findAgent } from "../../src/store/agents.ts";
import { readBudgetsLeft } from "../../src/store/budgets.ts";
import { findClient } from "../../src/store/clients.ts";
import type { Database } from "../../src/store/database.ts";
import {
  findDelegationChain,
  findGrantedChain,
  findRedeemedChain,
  type Granted,
  listDelegationChains,
  type Redemption,
} from "../../src/store/delegations.ts";
import { createHotReads } from "../../src/store/hot-reads.ts";
import { findNode } from "../../src/store/nodes.ts";
import {
  listReach,
  listStoppedAgents,
  type ReachPage,
  type ReachQuery,
  type StoppedPage,
} from "../../src/store/reach.ts";
import { listReservations } from "../../src/store/reservations.ts";
import { findResourceByAudience, listResources } from "../../src/store/resources.ts";
import { endOfToken, isTokenRevoked } from "../../src/store/revoked-tokens.ts";
import { findSvid } from "../../src/store/svids.ts";
import { findSubjectMapping, listMappingsOf } from "../../src/store/trusted-issuers.ts";
import { findUser } from "../../src/store/users.ts";

export const issuer = "https://id.example";
export const mail = "https://mail.example";
export const context = { requestId: "req-1" };

/** The value, which is there. */
export function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("the test's own value is malformed");
  return value;
}
export const trustDomain = must(parseTrustDomain("id.example"));
export const organization = must(parseOrganizationId("default"));

const tokenKeys = generateKeyPairSync("ec", { namedCurve: "P-256" });
const publicJwk = await publicTokenJwk(tokenKeys.privateKey);
const tokenKey = {
  kid: publicJwk.kid,
  publicJwk,
  sign: (message: Uint8Array) => signEs256(tokenKeys.privateKey, message),
};
/** What verifies the tokens and receipts of every process. */
export const issuerKeys = createLocalJWKSet({ keys: [publicJwk] });

/** One server process on a database: everything that the journeys use, all of it real. */
export async function startProcess(db: Database, clock: { nowMs: number }) {
  const now = () => clock.nowMs;
  const sequencer = createSequencer({
    db,
    now,
    randomBytes,
    originOf: async (log) => (await db.prisma.log.findUnique({ where: { id: log } }))?.origin,
    checkNotBehind: async () => undefined,
    onCommitted: () => undefined,
  });
  const { append } = sequencer;
  const sealer = await openSealer({
    db,
    now,
    randomBytes,
    kek: keyEncryptionKeyOf({ randomBytes }, new Uint8Array(32)),
  });
  const policy = await loadPolicy({ ...(await readShippedPolicy()), issuer });
  const hot = createHotReads({ db, now });
  const refusals = createRefusals({ append, now });
  const deps = {
    db,
    issuer,
    trustDomain,
    append,
    sealer,
    now,
    randomBytes,
    decide: (request: Parameters<typeof decide>[1]) => decide(policy, request),
    recordRefusal: refusals.record,
    invalidate: hot.invalidate,
    findUser: (org: OrganizationId, id: UserId) => findUser(db, org, id),
    findSvid: (org: OrganizationId, id: string) => findSvid(db, org, id),
    findSubjectMapping: (org: OrganizationId, id: SubjectMappingId) => findSubjectMapping(db, org, id),
    listMappingsOf: (trust: Parameters<typeof listMappingsOf>[1], subject: string) =>
      listMappingsOf(db, trust, subject),
    findNode: (org: OrganizationId, id: NodeId) => findNode(db, org, id),
    findAgent: (org: OrganizationId, id: AgentId) => findAgent(db, org, id),
    findClient: (principal: Principal) => findClient(db, principal),
    findResourceByAudience: (org: OrganizationId, audience: string) =>
      findResourceByAudience(db, org, audience),
    findDelegationChain: (org: OrganizationId, id: DelegationId) => findDelegationChain(db, org, id),
    findGrantedChain: (org: OrganizationId, granted: Granted) => findGrantedChain(db, org, granted),
    findRedeemedChain: (org: OrganizationId, redemption: Redemption) =>
      findRedeemedChain(db, org, redemption),
    listHeldDelegations: (org: OrganizationId, page: Parameters<typeof listDelegationChains>[2]) =>
      listDelegationChains(db, org, page),
    listResources: (org: OrganizationId, page: Parameters<typeof listResources>[2]) =>
      listResources(db, org, page),
    readBudgetsLeft: (org: OrganizationId, ids: readonly DelegationId[]) => readBudgetsLeft(db, org, ids),
    listReservations: (org: OrganizationId, action: ActionId) => listReservations(db, org, action),
    listReach: (reach: ReachQuery, page: ReachPage) => listReach(db, reach, page),
    listStoppedAgents: (reach: ReachQuery, page: StoppedPage) => listStoppedAgents(db, reach, page),
    signReceipt: createReceiptSigner(() => tokenKey),
    isTokenRevoked: (org: OrganizationId, jti: string) => isTokenRevoked(db, org, jti),
    confirmLog: sequencer.confirm,
    endOfToken: (org: OrganizationId, token: Parameters<typeof endOfToken>[2]) => endOfToken(db, org, token),
    verifyAccessToken: (token: string) => verify(token, clock),
  };
  /** What the token endpoint is given: cached reads. */
  const hotDeps = {
    ...deps,
    findClient: hot.client,
    findResourceByAudience: hot.resourceByAudience,
    findDelegationChain: hot.delegationChain,
    liveTokenOf: (claims: AccessTokenClaims) => liveTokenOf(deps, claims),
  };
  return { deps, hotDeps, hot, refusals, sequencer };
}
export type ServerProcess = Awaited<ReturnType<typeof startProcess>>;

/** Signs claims as the issuer does. */
export function sign(claims: AccessTokenClaims): Promise<string> {
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: "ES256", typ: "at+jwt" })
    .sign(tokenKeys.privateKey);
}

async function verify(token: string, clock: { nowMs: number }): Promise<AccessTokenClaims | undefined> {
  try {
    const options = { issuer, typ: "at+jwt", algorithms: ["ES256"], currentDate: new Date(clock.nowMs) };
    const { payload } = await jwtVerify(token, tokenKeys.publicKey, options);
    return accessTokenClaimsSchema.parse(payload);
  } catch {
    return undefined;
  }
}
