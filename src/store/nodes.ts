import type { NodeId, OrganizationId } from "@countersign/sdk/model/ids";
import type { JoinToken, Node } from "../domain/node.ts";
import type { Database } from "./database.ts";
import type { Node as NodeRow, NodeSvid as SvidRow } from "./generated/client.ts";
import { type Page, storedAs } from "./stored-as.ts";

/** The Node of this id in this organization, or undefined. */
export async function findNode(
  db: Database,
  organization: OrganizationId,
  id: NodeId,
): Promise<Node | undefined> {
  const row = await db.prisma.node.findFirst({ where: { id, organizationId: organization } });
  return row === null ? undefined : nodeOf(row, await latestSvids(db, organization, [row.id]));
}

/** Whether an X.509-SVID for the key of this hash was recorded for the Node. */
export async function isNodeKey(db: Database, { id, organization }: Node, publicKeyHash: string) {
  const where = { nodeId: id, organizationId: organization, publicKeyHash };
  return (await db.prisma.nodeSvid.findFirst({ where, select: { serial: true } })) !== null;
}

/** A page of the organization's Nodes, those that were evicted too, by id. */
export async function listNodes(
  db: Database,
  organization: OrganizationId,
  { after, limit }: Page,
): Promise<readonly Node[]> {
  const rows = await db.prisma.node.findMany({
    where: { organizationId: organization, id: { gt: after ?? "" } },
    orderBy: { id: "asc" },
    take: limit,
  });
  const svids = await latestSvids(
    db,
    organization,
    rows.map(({ id }) => id),
  );
  return rows.map((row) => nodeOf(row, svids));
}

/** The join token of this hash, whichever organization it is of: the token is all that its bearer says of itself. */
export async function findJoinToken(db: Database, tokenHash: string): Promise<JoinToken | undefined> {
  const row = await db.prisma.joinToken.findUnique({ where: { tokenHash } });
  if (row === null) return undefined;
  return {
    id: storedAs(row.id),
    organization: storedAs(row.organizationId),
    name: row.name ?? undefined,
    expiresAtMs: row.expiresAt.getTime(),
    status: storedAs(row.status),
  };
}

const keptAfterExpiryMs = 24 * 3_600_000;

/** Forgets join tokens and SVIDs of nodes that expired a day ago. */
export async function forgetExpiredOfNodes(db: Database, now: Date): Promise<void> {
  const where = { expiresAt: { lt: new Date(now.getTime() - keptAfterExpiryMs) } };
  await db.prisma.joinToken.deleteMany({ where });
  await db.prisma.nodeSvid.deleteMany({ where });
}

/** A Node, and which of the ids asked about its entries rest on. */
export interface TouchedNode {
  readonly node: NodeId;
  readonly ids: readonly string[];
}

/** The Nodes that have an entry which is one of these, or whose agent or its owner is. */
export async function listTouchedNodes(
  db: Database,
  ids: readonly string[],
): Promise<readonly TouchedNode[]> {
  const rows = await db.prisma.$queryRaw<{ node: string; ids: string[] }[]>`
    SELECT e.parent_id AS node, array_agg(DISTINCT t.id) AS ids
    FROM registration_entry e JOIN agent a ON a.id = e.agent_id
    CROSS JOIN LATERAL (VALUES (e.id), (e.agent_id), (a.owner_id)) AS t(id)
    WHERE e.parent_id IS NOT NULL AND t.id = ANY (${[...ids]}::text[])
      AND (e.id = ANY (${[...ids]}::text[]) OR e.status = 'active')
    GROUP BY e.parent_id`;
  return rows.map(({ node, ids: touched }) => ({ node: storedAs(node), ids: touched }));
}

async function latestSvids(
  db: Database,
  organization: OrganizationId,
  nodes: readonly string[],
): Promise<ReadonlyMap<string, SvidRow>> {
  const rows = await db.prisma.nodeSvid.findMany({
    where: { organizationId: organization, nodeId: { in: [...nodes] } },
    orderBy: { index: "desc" },
    distinct: ["nodeId"],
  });
  return new Map(rows.map((row) => [row.nodeId, row]));
}

function nodeOf(row: NodeRow, svids: ReadonlyMap<string, SvidRow>): Node {
  const svid = svids.get(row.id);
  return {
    id: storedAs(row.id),
    organization: storedAs(row.organizationId),
    name: row.name,
    attestation: storedAs(row.attestation),
    subject: row.subject,
    selectors: row.selectors,
    status: storedAs(row.status),
    attestedAtMs: row.attestedAt.getTime(),
    svid: svid && { serial: svid.serial, expiresAtMs: svid.expiresAt.getTime() },
  };
}
