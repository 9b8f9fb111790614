import type { AgentId, DelegationId } from "@countersign/sdk/model/ids";
import type {
  ReachedDelegation,
  ReachNow,
  ReachPlace,
  Revocation,
  RevokedNode,
} from "../domain/revocation.ts";
import type { Database } from "./database.ts";
import { Prisma } from "./generated/client.ts";
import { storedAs, storedAsMaybe } from "./stored-as.ts";

/** What was, or would be, reached: with an `index`, by the revocation that is recorded there. */
export type ReachQuery = RevokedNode & Partial<Pick<Revocation, "index">>;

/** At most `limit` Delegations, those that come after `after`. */
export interface ReachPage {
  readonly after?: ReachPlace | undefined;
  readonly limit: number;
}

/** At most `limit` Agents, those that come after `after`. */
export interface StoppedPage {
  readonly after?: AgentId | undefined;
  readonly limit: number;
}

interface ReachedRow {
  readonly id: string;
  readonly root: string;
  readonly parent: string | null;
  readonly grantee: string;
  readonly expiresAt: Date;
}

/**
 * A page of the Delegations that rest on what was revoked, the revoked one included, by root and id, octet by octet:
 * those on whose path it stands and that were made before it was revoked. Rows never change in that and never go, so
 * every reading says the same.
 */
export async function listReach(
  db: Database,
  query: ReachQuery,
  { after, limit }: ReachPage,
): Promise<readonly ReachedDelegation[]> {
  const index = indexOf(query);
  const from = after ?? { root: "", id: "" };
  // Each root has an item, but for the one where the page before ended: so a page needs no more roots than it has items,
  // and one. PostgreSQL walks the indexes in their order and stops at the limit.
  const rows = await db.prisma.$queryRaw<ReachedRow[]>`
    SELECT d.id, d.root_id AS root, d.parent_id AS parent, d.grantee_agent_id AS grantee, d.expires_at AS "expiresAt"
    FROM (${rootsOf(query, from.root, limit + 1)}) root
    CROSS JOIN LATERAL (SELECT d.* FROM delegation d
      WHERE d.root_id = root.id COLLATE "default" AND d.index < ${index}::bigint
        AND d.id COLLATE "C" > CASE WHEN root.id = ${from.root} THEN ${from.id} ELSE '' END
        AND ${hopOf(Prisma.sql`d`, seedOf(query))}
      ORDER BY d.id COLLATE "C" LIMIT ${limit}) d
    ORDER BY root.id, d.id COLLATE "C" LIMIT ${limit}`;
  return rows.map(({ id, root, parent, grantee, expiresAt }) => ({
    id: storedAs(id),
    root: storedAs(root),
    parent: storedAsMaybe<DelegationId>(parent),
    grantee: storedAs(grantee),
    expiresAtMs: expiresAt.getTime(),
  }));
}

/** A page of the Agents that were stopped with what was revoked, octet by octet; as unchanging as listReach. */
export async function listStoppedAgents(
  db: Database,
  query: ReachQuery,
  { after = storedAs(""), limit }: StoppedPage,
): Promise<readonly AgentId[]> {
  const rows = await db.prisma.$queryRaw<{ id: AgentId }[]>`
    SELECT s.id FROM (${stoppedOf(query)}) s WHERE s.id COLLATE "C" > ${after} ORDER BY s.id COLLATE "C" LIMIT ${limit}`;
  return rows.map(({ id }) => id);
}

function indexOf({ index = Number.MAX_SAFE_INTEGER }: ReachQuery): number {
  return index;
}

/** The Delegations that a node stands for itself, as `h`: whatever has one of them on its path is reached. */
function seedOf(query: ReachQuery): Prisma.Sql {
  const { kind, id, organization } = query;
  switch (kind) {
    case "delegation":
      return Prisma.sql`h.id = ${id}`;
    case "agent":
      return Prisma.sql`h.grantee_agent_id = ${id}`;
    case "user":
      return Prisma.sql`(h.subject_id = ${id} OR h.grantee_agent_id = ANY (ARRAY(${stoppedOf(query)})))`;
    case "token":
      return Prisma.sql`(h.redeemed_jti = ${id} AND h.organization_id = ${organization})`;
  }
}

/** The ids of the Agents that stop with a node: those that a User owned when they were offboarded. */
function stoppedOf(query: ReachQuery): Prisma.Sql {
  const { kind, id, organization } = query;
  switch (kind) {
    case "agent":
      return Prisma.sql`SELECT ${id}::text AS id`;
    case "user":
      return Prisma.sql`SELECT o.agent_id AS id FROM agent_owner o
        WHERE o.owner_id = ${id} AND o.organization_id = ${organization} AND o.index < ${indexOf(query)}::bigint
          AND NOT EXISTS (SELECT FROM agent_owner n
            WHERE n.agent_id = o.agent_id AND n.index > o.index AND n.index < ${indexOf(query)}::bigint)`;
    case "delegation":
    case "token":
      return Prisma.sql`SELECT ''::text AS id WHERE false`;
  }
}

/** That something done by an agent, under a Delegation or none, and under a token, concerns what was revoked. */
export function concernedBy(
  query: ReachQuery,
  {
    agent,
    delegation,
    jti,
  }: { readonly agent: Prisma.Sql; readonly delegation: Prisma.Sql; readonly jti: Prisma.Sql },
): Prisma.Sql {
  const token = query.kind === "token" ? Prisma.sql`OR ${jti} = ${query.id}` : Prisma.empty;
  return Prisma.sql`(${agent} = ANY (ARRAY(${stoppedOf(query)}))
    OR ${delegation}.index < ${indexOf(query)}::bigint AND ${hopOf(delegation, seedOf(query))} ${token})`;
}

/** The first roots from `from` on below which something is reached, in octet order. */
function rootsOf(query: ReachQuery, from: string, limit: number): Prisma.Sql {
  const rootsWhere = (
    seed: Prisma.Sql,
  ) => Prisma.sql`SELECT DISTINCT h.root_id COLLATE "C" AS id FROM delegation h
    WHERE ${seed} AND h.organization_id = ${query.organization} AND h.index < ${indexOf(query)}::bigint
      AND h.root_id COLLATE "C" >= ${from}
    ORDER BY 1 LIMIT ${limit}`;
  if (query.kind !== "user") return rootsWhere(seedOf(query));
  // Each way by its own index.
  return Prisma.sql`SELECT id FROM (
    (${rootsWhere(Prisma.sql`h.subject_id = ${query.id}`)}) UNION
    (SELECT r.id FROM (${stoppedOf(query)}) s
      CROSS JOIN LATERAL (${rootsWhere(Prisma.sql`h.grantee_agent_id = s.id`)}) r)) roots
    ORDER BY id LIMIT ${limit}`;
}

/**
 * That for a hop on the path of a row a condition on `h` holds. OFFSET 0 keeps the condition out of the lookup: each of
 * at most 16 hops is found by its id, whatever PostgreSQL takes the number of those for that fulfil it.
 */
function hopOf(row: Prisma.Sql, condition: Prisma.Sql): Prisma.Sql {
  return Prisma.sql`EXISTS (SELECT FROM unnest(${row}.path) AS hop(id)
    CROSS JOIN LATERAL (SELECT * FROM delegation WHERE delegation.id = hop.id OFFSET 0) h WHERE ${condition})`;
}

/** What of a hop ends a chain at once: all that domain/delegation-chain's faultOf finds but the time, which is its leaf's. */
function stoppedHop(now: Date): Prisma.Sql {
  return Prisma.sql`h.status <> 'active'
    OR NOT EXISTS (SELECT FROM agent a JOIN "user" o ON o.id = a.owner_id
      WHERE a.id = h.grantee_agent_id AND a.status = 'active' AND o.status = 'active' AND a.tenure = h.grantee_tenure
        AND (a.expires_at IS NULL OR a.expires_at > ${now}))
    OR NOT EXISTS (SELECT FROM resource t WHERE t.id = h.resource_id AND t.status = 'active')
    OR h.redeemed_jti IS NOT NULL AND (EXISTS (SELECT FROM revoked_token t
      WHERE t.jti = h.redeemed_jti AND t.organization_id = h.organization_id)
      OR EXISTS (SELECT FROM unnest(h.path) AS above(id)
        CROSS JOIN LATERAL (SELECT grantee_agent_id FROM delegation WHERE delegation.id = above.id OFFSET 0) g
        CROSS JOIN LATERAL (SELECT stopped_at FROM agent WHERE agent.id = g.grantee_agent_id OFFSET 0) a
        WHERE above.id <> h.id AND a.stopped_at >= h.created_at))`;
}

interface ReachNowRow {
  readonly delegations: number;
  readonly agents: number;
  readonly liveDelegations: number;
  readonly liveAgents: number;
  readonly soonest: Date | null;
  readonly latest: Date | null;
}

/** What would end with a node, counted as of now. */
export async function reachNow(db: Database, node: RevokedNode, now: Date): Promise<ReachNow> {
  const seed = seedOf(node);
  const [row] = await db.prisma.$queryRaw<ReachNowRow[]>`
    WITH reach AS MATERIALIZED (SELECT d.id, d.path, d.grantee_agent_id AS grantee, d.expires_at, d.subject_id
      FROM (SELECT DISTINCT h.root_id AS id FROM delegation h
        WHERE ${seed} AND h.organization_id = ${node.organization}) root
      CROSS JOIN LATERAL (SELECT * FROM delegation WHERE delegation.root_id = root.id OFFSET 0) d
      WHERE ${hopOf(Prisma.sql`d`, seed)}),
    live AS MATERIALIZED (SELECT r.id, r.grantee, r.expires_at FROM reach r
      WHERE r.expires_at > ${now} AND NOT ${hopOf(Prisma.sql`r`, stoppedHop(now))}
        AND EXISTS (SELECT FROM "user" s WHERE s.id = r.subject_id AND s.status = 'active')),
    concerned AS (SELECT grantee AS id FROM reach WHERE id <> ${node.id} UNION ${stoppedOf(node)})
    SELECT (SELECT count(*) FROM reach WHERE id <> ${node.id})::int AS delegations,
      (SELECT count(*) FROM concerned WHERE id <> ${node.id})::int AS agents,
      (SELECT count(*) FROM live)::int AS "liveDelegations",
      (SELECT count(DISTINCT grantee) FROM live)::int AS "liveAgents",
      (SELECT min(expires_at) FROM live) AS soonest, (SELECT max(expires_at) FROM live) AS latest`;
  if (row === undefined) throw new TypeError("a query of one row gave none");
  const { delegations, agents, liveDelegations, liveAgents, soonest, latest } = row;
  const expiries =
    soonest && latest ? { soonestMs: soonest.getTime(), latestMs: latest.getTime() } : undefined;
  return {
    counts: { delegations, agents },
    live: { delegations: liveDelegations, agents: liveAgents },
    expiries,
  };
}
