import { spellingsOf } from "@countersign/sdk/model/audience";
import type { ActionId, AgentId, DelegationId, OrganizationId } from "@countersign/sdk/model/ids";
import type {
  Accountability,
  AccountedAction,
  Action,
  ActionReport,
  Deed,
  Reporter,
} from "../domain/action.ts";
import type { Database } from "./database.ts";
import type { ActionReport as ActionReportRow, Action as ActionRow } from "./generated/client.ts";
import { type Page, storedAs, storedAsMaybe } from "./stored-as.ts";

/** The granted action of this id in this organization, or undefined. */
export async function findAction(
  db: Database,
  organization: OrganizationId,
  id: ActionId,
): Promise<Action | undefined> {
  const row = await db.prisma.action.findFirst({ where: { id, organizationId: organization } });
  return row === null ? undefined : actionOf(row);
}

/**
 * Of the actions that an Agent was granted under a token and that this kind of reporter has not reported yet, the one that
 * differs least from what was done, as `differencesOf` counts; of several the oldest.
 */
export async function findNearestUnreported(
  db: Database,
  organization: OrganizationId,
  { agent, jti, reporter, done }: { agent: AgentId; jti: string; reporter: Reporter["kind"]; done: Deed },
): Promise<Action | undefined> {
  const { resource, scope, action, tool } = done;
  const rows = await db.prisma.$queryRaw<{ id: string }[]>`
    SELECT a.id FROM action a WHERE a.jti = ${jti} AND a.organization_id = ${organization} AND a.agent_id = ${agent}
      AND NOT EXISTS (SELECT FROM action_report r WHERE r.action_id = a.id AND r.reporter_kind = ${reporter}
          AND r.organization_id = a.organization_id)
    ORDER BY (a.resource <> ALL (${spellingsOf(resource)}))::int
      + (NOT a.scope @> ${[...scope]}::text[])::int
      + (a.action <> ${action})::int
      + ((a.tool_server, a.tool) IS DISTINCT FROM (${tool?.server ?? null}::text, ${tool?.tool ?? null}::text))::int
      + (a.arguments_hash IS DISTINCT FROM ${tool?.argumentsHash ?? null}::text)::int, a.id LIMIT 1`;
  const [nearest] = rows;
  return nearest && (await findAction(db, organization, storedAs(nearest.id)));
}

/** What a reporter has reported under this `jti`, or of this action: at most two reports. */
export async function listReportsLike(
  db: Database,
  organization: OrganizationId,
  { reporter, jti, action }: { reporter: Reporter; jti: string; action: ActionId | undefined },
): Promise<readonly ActionReport[]> {
  const same = action === undefined ? [{ jti }] : [{ jti }, { actionId: action }];
  const rows = await db.prisma.actionReport.findMany({
    where: { organizationId: organization, reporterId: reporter.id, OR: same },
  });
  return rows.map(reportOf);
}

/** Which granted actions a list is about. */
export interface ActionFilter {
  readonly agent?: AgentId | undefined;
  readonly delegation?: DelegationId | undefined;
}

/** A page of the organization's granted actions by id, each with what was reported of it. */
export async function listActions(
  db: Database,
  organization: OrganizationId,
  { agent, delegation }: ActionFilter,
  { after = "", limit }: Page,
): Promise<readonly AccountedAction[]> {
  const rows = await db.prisma.action.findMany({
    where: {
      organizationId: organization,
      id: { gt: after },
      ...(agent !== undefined && { agentId: agent }),
      ...(delegation !== undefined && { delegationId: delegation }),
    },
    orderBy: { id: "asc" },
    take: limit,
  });
  return accounted(db, organization, rows);
}

/** The granted action of this id with what was reported of it, or undefined. */
export async function findAccountedAction(
  db: Database,
  organization: OrganizationId,
  id: ActionId,
): Promise<AccountedAction | undefined> {
  const rows = await db.prisma.action.findMany({ where: { id, organizationId: organization } });
  return (await accounted(db, organization, rows))[0];
}

async function accounted(
  db: Database,
  organization: OrganizationId,
  rows: readonly ActionRow[],
): Promise<readonly AccountedAction[]> {
  const reports = await db.prisma.actionReport.findMany({
    where: { organizationId: organization, actionId: { in: rows.map(({ id }) => id) } },
  });
  const byAction = Map.groupBy(reports.map(reportOf), ({ action }) => action);
  return rows.map(actionOf).map((action) => {
    const own = byAction.get(action.id) ?? [];
    return {
      action,
      claimed: own.find(({ reporter }) => reporter.kind === "agent"),
      witnessed: own.find(({ reporter }) => reporter.kind === "resource"),
    };
  });
}

/** A page of what was reported of an Agent, in the order of the log. */
export async function listReports(
  db: Database,
  organization: OrganizationId,
  agent: AgentId,
  { afterIndex, limit }: { readonly afterIndex: number | undefined; readonly limit: number },
): Promise<readonly ActionReport[]> {
  const rows = await db.prisma.actionReport.findMany({
    where: {
      organizationId: organization,
      agentId: agent,
      ...(afterIndex !== undefined && { index: { gt: BigInt(afterIndex) } }),
    },
    orderBy: { index: "asc" },
    take: limit,
  });
  return rows.map(reportOf);
}

/**
 * How an Agent's granted actions and the reports of what it did add up.
 *
 * @param unaccountedBefore what was granted before this and nobody has reported is unaccounted
 */
export async function accountabilityOf(
  db: Database,
  organization: OrganizationId,
  agent: AgentId,
  unaccountedBefore: Date,
): Promise<Accountability> {
  const rows = await db.prisma.$queryRaw<Accountability[]>`
    SELECT granted.*, reported.* FROM (
      SELECT count(*)::int AS granted, count(c.action_id)::int AS claimed, count(w.action_id)::int AS witnessed,
        count(*) FILTER (WHERE c.action_id IS NULL AND w.action_id IS NULL
          AND a.decided_at <= ${unaccountedBefore})::int AS unaccounted
      FROM action a
      LEFT JOIN action_report c
        ON c.action_id = a.id AND c.reporter_kind = 'agent' AND c.organization_id = a.organization_id
      LEFT JOIN action_report w
        ON w.action_id = a.id AND w.reporter_kind = 'resource' AND w.organization_id = a.organization_id
      WHERE a.agent_id = ${agent} AND a.organization_id = ${organization}) granted, (
      SELECT count(*) FILTER (WHERE standing = 'out_of_scope')::int AS "outOfScope",
        count(*) FILTER (WHERE standing = 'unauthorized')::int AS unauthorized
      FROM action_report WHERE agent_id = ${agent} AND organization_id = ${organization}) reported`;
  return rows[0] ?? { granted: 0, claimed: 0, witnessed: 0, unaccounted: 0, outOfScope: 0, unauthorized: 0 };
}

function actionOf(row: ActionRow): Action {
  const { toolServer: server, tool, argumentsHash } = row;
  return {
    id: storedAs(row.id),
    organization: storedAs(row.organizationId),
    agent: storedAs(row.agentId),
    owner: storedAs(row.ownerId),
    subject: storedAsMaybe(row.subjectId),
    delegation: storedAsMaybe(row.delegationId),
    jti: row.jti,
    txn: row.txn,
    resource: row.resource,
    scope: row.scope,
    action: row.action,
    tool:
      server === null || tool === null || argumentsHash === null
        ? undefined
        : { server, tool, argumentsHash },
    decidedAtMs: row.decidedAt.getTime(),
    ledger: placeOf(row),
  };
}

/** A report as its row tells it. */
export function reportOf(row: ActionReportRow): ActionReport {
  return {
    reporter:
      row.reporterKind === "agent"
        ? { kind: "agent", id: storedAs(row.reporterId) }
        : { kind: "resource", id: storedAs(row.reporterId) },
    agent: storedAs(row.agentId),
    action: storedAsMaybe(row.actionId),
    standing: storedAs(row.standing),
    outcome: storedAs(row.outcome),
    claimsHash: row.claimsHash,
    jws: row.jws,
    reportedAtMs: row.reportedAt.getTime(),
    ledger: placeOf(row),
  };
}

function placeOf({ logId, index }: { readonly logId: string; readonly index: bigint }) {
  return { log: storedAs<Action["ledger"]["log"]>(logId), index: Number(index) };
}
