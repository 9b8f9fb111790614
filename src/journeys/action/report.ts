import type { LedgerPosition } from "@countersign/sdk/contract/fields";
import type { ActionId, AgentId, DelegationId, OrganizationId, UserId } from "@countersign/sdk/model/ids";
import { type Principal, principalOf, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { type VerifiedActionReport, verifyActionReport } from "@countersign/sdk/verify/verify-action-report";
import type { StatementDeps } from "@countersign/sdk/verify/verify-statement";
import type { Action, ActionReport, Reporter, Standing } from "../../domain/action.ts";
import type { Client } from "../../domain/client.ts";
import type { DelegationChain } from "../../domain/delegation-chain.ts";
import type { Resource } from "../../domain/resource.ts";
import type { Write } from "../../store/write.ts";
import { chainTrail } from "../delegation/refusal-reasons.ts";
import { readStatement } from "../read-statement.ts";
import { clientConditions, keyConditions } from "../record/conditions.ts";
import {
  type Happening,
  type RecordDeps,
  type RequestContext,
  recordUnlessTaken,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import type { Refusal } from "../record/refusal.ts";
import { type CompareDeps, type Comparison, compareWithGranted, type Told } from "./compare.ts";
import { type Hold, toldOf } from "./reserve.ts";
import { type SettleDeps, settlementOf } from "./settle.ts";

export interface ReportDeps extends RecordDeps, CompareDeps, SettleDeps {
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  readonly now: () => number;
  /** These may be cached reads: what matters of them is read again by the commit, or never changes. */
  readonly findClient: (principal: Principal) => Promise<Client | undefined>;
  readonly findResourceByAudience: (
    organization: OrganizationId,
    audience: string,
  ) => Promise<Resource | undefined>;
  readonly findDelegationChain: (
    organization: OrganizationId,
    id: DelegationId,
  ) => Promise<DelegationChain | undefined>;
  /** What a reporter has reported under this `jti`, or of this action. */
  readonly listReportsLike: (
    organization: OrganizationId,
    like: { readonly reporter: Reporter; readonly jti: string; readonly action: ActionId | undefined },
  ) => Promise<readonly ActionReport[]>;
}

export interface ReportRequest {
  /** Authenticated. */
  readonly caller: Principal;
  /** What it signed, compact. */
  readonly report: string;
  readonly context: RequestContext;
}

/** Where a report is recorded, and how what it tells stands to what was granted. */
export interface ReportedAction {
  readonly reporter: Reporter["kind"];
  readonly standing: Standing;
  /** What was used beyond what was reserved for it. */
  readonly over: readonly Hold[];
  readonly ledger: LedgerPosition;
}

/**
 * Records what an Agent did, as the Agent claims it or the Resource witnesses it, each under its own signature, and how
 * that stands to what was granted. What was not granted is recorded as well: only what its sender did not sign, or has no
 * part in, is refused. The same report again is answered with the place of the first.
 *
 * @throws DomainError `not_authorized` for who reports for another, `invalid_request` for what is no report, `conflict`
 *   for a second account of one action, `subject_not_active`; `ledger_unavailable`
 */
export async function reportAction(deps: ReportDeps, request: ReportRequest): Promise<ReportedAction> {
  const { caller, context } = request;
  const asked: Trail = { ...trailOf(caller, context), action: "action.report" };
  const refused = (refusal: Refusal) => refuse(deps, "action.refused", asked, "report", refusal);
  if (caller.kind === "operator" || caller.kind === "node") throw await refused(notAReporter);
  const client = await deps.findClient(caller);
  if (client === undefined) throw await refused(notAReporter);

  const expected = { issuer: deps.issuer, reporter: spiffeIdOf(deps.trustDomain, client.principal) };
  const verify = (by: StatementDeps) => verifyActionReport(by, request.report, expected);
  const verified = await readStatement(deps, client, verify, forAnother);
  if ("code" in verified) throw await refused(verified);
  const { claims, claimsHash } = verified;
  const actor = await actorOf(deps, client, claims.report);
  if ("code" in actor) throw await refused(actor);
  const { organization } = caller;
  const told = { organization, reporter: caller, agent: actor.id, deed: claims.report };

  for (const tried = new Set<ActionId | undefined>(); ; ) {
    const compared = await compareWithGranted(deps, told);
    const { standing } = compared;
    const action = compared.accounts ? compared.granted?.id : undefined;
    const before = await deps.listReportsLike(organization, {
      reporter: caller,
      jti: claims.jti,
      action: claims.report.action_id && action,
    });
    const same = before.find((report) => report.claimsHash === claimsHash);
    if (same !== undefined) {
      const { over } = await settlementOf(deps, organization, same.action, claims.report);
      return { reporter: caller.kind, standing: same.standing, over, ledger: same.ledger };
    }
    if (before.length > 0 || tried.has(action)) break;
    tried.add(action);
    const chain = await chainOf(deps, told, compared.granted);
    const { writes, over } = await settlementOf(deps, organization, action, claims.report);
    const happening: Happening = {
      type: "action.reported",
      refusedAs: "action.refused",
      trail: { ...asked, ...(await trailOfDeed(deps, told, actor, compared.granted, chain)) },
      outcome: outcomeOf(caller.kind, verified, compared, over),
      writes: [reportWrite(told, verified, compared, chain, request.report, deps.now()), ...writes],
      conditions: [...clientConditions(client), ...keyConditions(client, verified.kid)],
      demands: context.demands,
    };
    const recorded = await recordUnlessTaken(deps, happening, oneAccountIndexes);
    if (recorded !== "taken") return { reporter: caller.kind, standing, over, ledger: recorded };
    // Another report came first: of this very jti or named action, which is read now, or of this one of several equal
    // actions, and another one is meant. Each is tried once, so there is an end.
  }
  throw await refused(secondAccount);
}

/** Where a reporter's account of one `jti`, and one kind's of one action, is taken. */
const oneAccountIndexes = ["action_report_once", "action_report_one_account"];

/** Who acted, or why the reporter does not speak of them. */
async function actorOf(
  deps: ReportDeps,
  { principal, owner }: Client,
  { agent: named, resource }: Told["deed"],
): Promise<Actor | Refusal> {
  const actor = named === undefined ? principal : principalOf(deps.trustDomain, named);
  if (principal.kind === "agent") {
    return actor?.id === principal.id ? { id: principal.id, owner: owner?.id } : forAnother;
  }
  const seenAt = await deps.findResourceByAudience(principal.organization, resource);
  if (seenAt?.id !== principal.id) return forAnother;
  const isOurs = actor?.kind === "agent" && actor.organization === principal.organization;
  const client = isOurs ? await deps.findClient(actor) : undefined;
  return client?.principal.kind === "agent" ? { id: client.principal.id, owner: client.owner?.id } : noActor;
}

interface Actor {
  readonly id: AgentId;
  readonly owner: UserId | undefined;
}

/** The delegation that was used: the granted action's, or the one that is named if it was made to this agent. */
async function chainOf(
  deps: ReportDeps,
  { organization, agent, deed }: Told,
  granted: Action | undefined,
): Promise<DelegationChain | undefined> {
  const id = granted === undefined ? deed.delegation : granted.delegation;
  const chain = id && (await deps.findDelegationChain(organization, id));
  return chain?.leaf.agent.id === agent ? chain : undefined;
}

async function trailOfDeed(
  deps: ReportDeps,
  { organization, deed }: Told,
  { id, owner }: Actor,
  granted: Action | undefined,
  chain: DelegationChain | undefined,
): Promise<Partial<Trail>> {
  const { resource: _, ...rested } = chain === undefined ? {} : chainTrail(chain);
  // A URI that is no Resource here is the reporter's own text: its report has it, the entry does not.
  const resource = await deps.findResourceByAudience(organization, deed.resource);
  return {
    agent: id,
    ...(owner && { owner }),
    ...rested,
    // Whoever owns the agent by now did not when this was granted.
    ...(granted && { owner: granted.owner, txn: granted.txn, jti: granted.jti }),
    ...(granted?.subject && { subject: granted.subject }),
    ...(resource && { resource: resource.audience }),
  };
}

function outcomeOf(
  kind: Reporter["kind"],
  { claims: { report }, claimsHash, kid }: VerifiedActionReport,
  { standing, granted, differs }: Comparison,
  over: readonly Hold[],
): NonNullable<Happening["outcome"]> {
  const { tool_call: call, usage, cost } = report;
  return {
    action: report.action,
    scope: [...report.scope],
    ...(call && { tool: call.tool }),
    ...(cost && { cost }),
    claims_hash: claimsHash,
    detail: {
      reporter: kind === "agent" ? "claimed" : "witnessed",
      standing,
      outcome: report.outcome,
      key: kid,
      started_at: report.started_at,
      ended_at: report.ended_at,
      ...(differs.length > 0 && { differs: [...differs] }),
      ...(report.action_id && { action_id: report.action_id }),
      ...(granted && { action_id: granted.id, granted_at: granted.ledger.index }),
      ...(call && { server: call.server, arguments_hash: call.arguments_hash }),
      ...(report.rows !== undefined && { rows: report.rows }),
      ...(over.length > 0 && { over: toldOf(over) }),
      ...(report.error_code && { error_code: report.error_code }),
      ...(report.result_hash && { result_hash: report.result_hash }),
      ...usage,
    },
  };
}

function reportWrite(
  { organization, reporter, agent, deed }: Told,
  { claims, claimsHash }: VerifiedActionReport,
  { standing, granted, accounts }: Comparison,
  chain: DelegationChain | undefined,
  jws: string,
  nowMs: number,
): Write {
  const row = {
    organization_id: organization,
    reporter_kind: reporter.kind,
    reporter_id: reporter.id,
    jti: claims.jti,
    claims_hash: claimsHash,
    agent_id: agent,
    delegation_id: chain?.leaf.delegation.id ?? null,
    action_id: accounts ? (granted?.id ?? null) : null,
    standing,
    outcome: deed.outcome,
    jws,
    reported_at: new Date(nowMs),
  };
  return { into: "action_report", row };
}

const notAReporter: Refusal = {
  code: "not_authorized",
  publicDetail: "only agents and resources report actions",
  reason: "the caller is neither an agent nor a resource",
};

const forAnother: Refusal = {
  code: "not_authorized",
  publicDetail: "a report is made and signed by who sends it, of its own action or at its own resource",
  reason: "it speaks for another",
};

const noActor: Refusal = {
  code: "invalid_request",
  publicDetail: "the report names no agent",
  reason: "it names no agent of this organization",
};

const secondAccount: Refusal = {
  code: "conflict",
  publicDetail: "this action, or this jti, was reported before, and otherwise",
  reason: "a second account of one action, or of one jti",
};
