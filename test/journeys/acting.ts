import { randomBytes } from "node:crypto";
import { signActionReport } from "@countersign/sdk/client/actions";
import { makeKeyPair, type PrivateJwk } from "@countersign/sdk/client/key-pair";
import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import type { ReportedDeed } from "@countersign/sdk/contract/action-report";
import { argumentsHash } from "@countersign/sdk/contract/arguments-hash";
import type { DelegationId, OrganizationId, UserId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import {
  type Authorization,
  type AuthorizeRequest,
  authorizeAction,
} from "../../src/journeys/action/authorize.ts";
import { reportAction } from "../../src/journeys/action/report.ts";
import { createAgent } from "../../src/journeys/agent/create.ts";
import { createResource } from "../../src/journeys/resource/create.ts";
import {
  accountabilityOf,
  findAccountedAction,
  findAction,
  findNearestUnreported,
  listReports,
  listReportsLike,
} from "../../src/store/actions.ts";
import { context, issuer, mail, must, organization, type ServerProcess, sign } from "./server-process.ts";
import { type AgentPrincipal, nameOf, type World } from "./world.ts";

/** Somebody with a key of their own. */
export interface Signer<Who extends Principal = Principal> {
  readonly principal: Who;
  readonly key: PrivateJwk;
}
export type ActingAgent = Signer<AgentPrincipal>;

const signDeps = (world: World) => ({
  now: () => world.clock.nowMs,
  randomBytes: (count: number) => new Uint8Array(randomBytes(count)),
});

/** The journeys of actions in a world, and parties who sign. */
export function openActing(world: World) {
  const depsOf = ({ hotDeps }: ServerProcess) => ({
    ...hotDeps,
    findAction: (org: OrganizationId, id: Parameters<typeof findAction>[2]) =>
      findAction(hotDeps.db, org, id),
    findNearestUnreported: (org: OrganizationId, of: Parameters<typeof findNearestUnreported>[2]) =>
      findNearestUnreported(hotDeps.db, org, of),
    listReportsLike: (org: OrganizationId, like: Parameters<typeof listReportsLike>[2]) =>
      listReportsLike(hotDeps.db, org, like),
  });
  const deps = depsOf(world.main);

  async function agent(
    owner: UserId = world.alice,
    caller: Principal = world.operator,
  ): Promise<ActingAgent> {
    const { publicJwk, privateJwk } = await makeKeyPair();
    const request = { caller, owner, name: "agent", kind: "worker", publicJwk, context } as const;
    const { id } = await createAgent(world.deps, request);
    return { principal: { kind: "agent", organization: caller.organization, id }, key: privateJwk };
  }

  async function resource(audience: string): Promise<Signer> {
    const { publicJwk, privateJwk } = await makeKeyPair();
    const request = {
      caller: world.operator,
      audience,
      scope: ["mail.read", "mail.send"],
      owner: world.alice,
      open: false,
      publicJwk,
      context,
    };
    const { id } = await createResource(world.deps, request);
    return { principal: { kind: "resource", organization, id }, key: privateJwk };
  }

  /** A token by a delegation. */
  const redeem = async (who: ActingAgent, delegation: DelegationId) =>
    (await world.exchange(who.principal, delegation, { confirmation: { jkt: "thumb" } })).claims;

  type Asked = Partial<Omit<AuthorizeRequest, "claims" | "context">>;
  const requestOf = async (who: Signer, claims: AccessTokenClaims, asked: Asked = {}) => ({
    presenter: who.principal,
    claims,
    accessToken: asked.accessToken ?? (await sign(claims)),
    action: "read_inbox",
    scope: ["mail.read"],
    context: { ...context, txn: claims.txn },
    ...asked,
  });
  const authorize = async (who: Signer, claims: AccessTokenClaims, asked: Asked = {}, process = world.main) =>
    authorizeAction(depsOf(process), await requestOf(who, claims, asked));
  /** The yes to an action. */
  const allowed = async (...given: Parameters<typeof authorize>) => {
    const answer = await authorize(...given);
    if (answer.decision === "allow") return answer;
    throw new Error(`no yes, but ${answer.code}: ${answer.reason}`);
  };

  const deed = (more: Partial<ReportedDeed> = {}): ReportedDeed => ({
    action: "read_inbox",
    scope: ["mail.read"],
    resource: mail,
    outcome: "succeeded",
    started_at: new Date(world.clock.nowMs).toISOString(),
    ended_at: new Date(world.clock.nowMs).toISOString(),
    ...more,
  });
  const signReport = (who: Signer, told: ReportedDeed) =>
    signActionReport(signDeps(world), { issuer, clientId: nameOf(who.principal), key: who.key }, told);
  const send = (caller: Principal, report: string, process = world.main) =>
    reportAction(depsOf(process), { caller, report, context });
  const report = async (who: Signer, more: Partial<ReportedDeed> = {}) =>
    send(who.principal, await signReport(who, deed(more)));

  return {
    deps,
    agent,
    resource,
    redeem,
    requestOf,
    authorize,
    allowed,
    deed,
    signReport,
    send,
    report,
    hashOf: argumentsHash,
    accounted: (id: Extract<Authorization, { decision: "allow" }>["action"]) =>
      findAccountedAction(world.db, organization, id).then(must),
    reportsOf: ({ principal }: ActingAgent) =>
      listReports(world.db, organization, principal.id, { afterIndex: undefined, limit: 200 }),
    sumsOf: ({ principal }: ActingAgent) =>
      accountabilityOf(world.db, organization, principal.id, new Date(world.clock.nowMs - 3_600_000)),
  };
}
export type Acting = ReturnType<typeof openActing>;
