import { type EntryId, logOf, type NodeId, type OrganizationId } from "@countersign/sdk/model/ids";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Node } from "../domain/node.ts";
import type { RegistrationEntry } from "../domain/registration-entry.ts";
import type { Database } from "./database.ts";
import { entryOf } from "./registration-entries.ts";
import { storedAs } from "./stored-as.ts";

export interface NodeEntriesQuery {
  /** Only what changed from this index of the log on; undefined: all that stand. */
  readonly since: number | undefined;
  readonly after: string | undefined;
  readonly limit: number;
}

/** Entries of one Node, each with the state of its agent, the agent's owner and configurations in one text. */
export interface NodeEntries {
  /** The index from which on nothing is in this answer. */
  readonly asOf: number;
  readonly items: readonly { readonly entry: RegistrationEntry; readonly standing: string }[];
  readonly ended: readonly EntryId[];
  readonly next: string | undefined;
}

/**
 * A page of a Node's entries by id, all or those that changed since. What is committed while it is read is in the answer, or
 * has an index of `asOf` or above.
 */
export async function listNodeEntries(
  db: Database,
  trustDomain: TrustDomain,
  organization: OrganizationId,
  node: NodeId,
  { since, after, limit }: NodeEntriesQuery,
): Promise<NodeEntries> {
  // Before the rows: what comes between is told twice rather than never.
  const log = await db.prisma.log.findUniqueOrThrow({ where: { id: logOf(organization) } });
  const rows = await db.prisma.registrationEntry.findMany({
    where: {
      organizationId: organization,
      parentId: node,
      ...(since === undefined
        ? { id: { gt: after ?? "" }, status: "active" }
        : { id: { in: await changedSince(db, node, { since, after, limit }) } }),
    },
    orderBy: { id: "asc" },
    take: limit,
  });
  const entries = rows.map((row) => entryOf(trustDomain, row));
  const standings = await standingsOf(
    db,
    organization,
    entries.map(({ agent }) => agent),
  );
  return {
    asOf: Number(log.nextIndex),
    items: entries
      .filter(({ status }) => status === "active")
      .map((entry) => ({ entry, standing: standings.get(entry.agent) ?? "gone" })),
    ended: entries.filter(({ status }) => status !== "active").map(({ id }) => id),
    next: rows.length === limit ? rows.at(-1)?.id : undefined,
  };
}

/** OFFSET 0 keeps PostgreSQL from reading all entries in the order of their ids, in the hope that many changed. */
async function changedSince(
  db: Database,
  node: NodeId,
  { since, after = "", limit }: NodeEntriesQuery & { readonly since: number },
): Promise<string[]> {
  const rows = await db.prisma.$queryRaw<{ id: string }[]>`
    SELECT id FROM (SELECT id FROM registration_entry
      WHERE parent_id = ${node} AND index >= ${since}::bigint OFFSET 0) changed
    WHERE id > ${after} ORDER BY id LIMIT ${limit}`;
  return rows.map(({ id }) => id);
}

/** The foreign trust domains that an entry of the Node federates with, each once. */
export async function listFederatedBy(
  db: Database,
  { id, organization }: Node,
): Promise<readonly TrustDomain[]> {
  const rows = await db.prisma.$queryRaw<{ name: string }[]>`
    SELECT DISTINCT unnest(federates_with) AS name FROM registration_entry
    WHERE organization_id = ${organization} AND parent_id = ${id} AND status = 'active'`;
  return rows.map(({ name }) => storedAs(name));
}

async function standingsOf(
  db: Database,
  organization: OrganizationId,
  agents: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await db.prisma.$queryRaw<{ id: string; standing: string }[]>`
    SELECT a.id, concat_ws(' ', a.status, a.tenure, a.stopped_at, a.expires_at, u.status, c.approved) AS standing
    FROM agent a JOIN "user" u ON u.id = a.owner_id
    CROSS JOIN LATERAL (
      SELECT concat(count(*), md5(string_agg(checksum, ' ' ORDER BY checksum) FILTER (WHERE status = 'approved'))) AS approved
      FROM agent_checksum WHERE organization_id = a.organization_id AND agent_id = a.id) c
    WHERE a.organization_id = ${organization} AND a.id = ANY (${[...new Set(agents)]}::text[])`;
  return new Map(rows.map(({ id, standing }) => [storedAs<string>(id), standing]));
}
