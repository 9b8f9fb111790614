import { logOf } from "@countersign/sdk/model/ids";
import type { ActionReport } from "../domain/action.ts";
import type { Revocation } from "../domain/revocation.ts";
import { reportOf } from "./actions.ts";
import type { Database } from "./database.ts";
import { Prisma } from "./generated/client.ts";
import { concernedBy } from "./reach.ts";

/** A page of what was reported after a revocation. */
export interface SupplementPage {
  readonly reports: readonly ActionReport[];
  /** How many entries of the log were looked at. */
  readonly asOf: number;
  /** The index after which the following page begins; undefined on the last. A short page may have one. */
  readonly next: number | undefined;
}

// However many reports there are of others, a page looks at this many.
const reportsSeenMax = 10_000;

/**
 * A page of what was reported after a revocation, as far as the published checkpoint covers it, of actions under what
 * it reached: of agents that were stopped, under delegations that ended, and under the very token.
 */
export async function readSupplement(
  db: Database,
  revocation: Revocation,
  { after = revocation.index, limit }: { readonly after?: number | undefined; readonly limit: number },
): Promise<SupplementPage> {
  const logId = logOf(revocation.organization);
  const log = await db.prisma.log.findUnique({ where: { id: logId }, select: { publishedSize: true } });
  const published = log?.publishedSize ?? 0n;
  const between = { gt: BigInt(Math.max(after, revocation.index)), lt: published };
  const seen = await db.prisma.actionReport.findMany({
    where: { logId, index: between },
    orderBy: { index: "asc" },
    take: reportsSeenMax,
    select: { index: true },
  });
  const last = seen.at(-1)?.index;
  const all = seen.length < reportsSeenMax;
  if (last === undefined) return { reports: [], asOf: Number(published), next: undefined };
  const found = await db.prisma.$queryRaw<{ index: bigint }[]>`
    SELECT r.index FROM action_report r
    LEFT JOIN delegation d ON d.id = r.delegation_id
    LEFT JOIN action a ON a.id = r.action_id
    WHERE r.log_id = ${logId} AND r.index > ${between.gt} AND r.index <= ${last}
      AND ${concernedBy(revocation, { agent: Prisma.sql`r.agent_id`, delegation: Prisma.sql`d`, jti: Prisma.sql`a.jti` })}
    ORDER BY r.index LIMIT ${limit}`;
  const rows = await db.prisma.actionReport.findMany({
    where: { logId, index: { in: found.map(({ index }) => index) } },
    orderBy: { index: "asc" },
  });
  const full = found.length === limit ? found.at(-1)?.index : undefined;
  const next = full ?? (all ? undefined : last);
  return {
    reports: rows.map(reportOf),
    asOf: next === undefined ? Number(published) : Number(next) + 1,
    next: next === undefined ? undefined : Number(next),
  };
}
