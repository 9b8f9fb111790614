import type { NodeId, OrganizationId } from "@countersign/sdk/model/ids";
import type { JoinToken, Node, NodeAttestation, NodeSvid, NodeSvids } from "../domain/node.ts";
import type { Database } from "./database.ts";
import type { Node as NodeRow, NodeSvid as SvidRow } from "./generated/client.ts";
import { type Page, storedAs, storedAsMaybe } from "./stored-as.ts";

/** The Node of this id in this organization, or undefined. */
export async function findNode(
  db: Database,
  organization: OrganizationId,
  id: NodeId,
): Promise<Node | undefined> {
  const row = await db.prisma.node.findFirst({ where: { id, organizationId: organization } });
  return row === null ? undefined : nodeOf(row, await latestSvids(db, organization, [row.id]));
}

/** The Node as which this machine was attested first; one that was evicted where none is active. */
export async function findNodeOf(
  db: Database,
  organization: OrganizationId,
  { attestation, subject }: { readonly attestation: NodeAttestation; readonly subject: string },
): Promise<Node | undefined> {
  const row = await db.prisma.node.findFirst({
    where: { attestation, subject, organizationId: organization },
    // "active" comes before "evicted".
    orderBy: [{ status: "asc" }, { id: "desc" }],
  });
  return row === null ? undefined : nodeOf(row, await latestSvids(db, organization, [row.id]));
}

/** The X.509-SVID of a Node for the key of this hash, if one was recorded. */
export async function findNodeSvid(
  db: Database,
  { id, organization }: Node,
  publicKeyHash: string,
): Promise<NodeSvid | undefined> {
  const where = { nodeId: id, organizationId: organization, publicKeyHash };
  const row = await db.prisma.nodeSvid.findFirst({ where });
  return row === null ? undefined : svidOf(row);
}

/** What of a Node's SVIDs may still be shown, and which was its last: as of one moment. */
export async function listNodeSvids(db: Database, { id, organization }: Node): Promise<NodeSvids> {
  const rows = await db.prisma.$queryRaw<
    { id: string; status: NodeSvid["status"]; expires_at: Date; is_last: boolean; is_disowned: boolean }[]
  >`
    SELECT * FROM (
      SELECT id, status, expires_at, index = max(index) OVER () AS is_last,
        EXISTS (SELECT FROM signing_key k WHERE k.id = authority AND k.status = 'withdrawn') AS is_disowned
      FROM node_svid WHERE node_id = ${id} AND organization_id = ${organization}) s
    WHERE s.is_last OR s.status <> 'spent'`;
  return {
    last: rows.find(({ is_last }) => is_last)?.id,
    standing: rows
      .filter(({ status }) => status !== "spent")
      .map(({ id: serial, status, expires_at: expiresAt, is_disowned: isDisowned }) => ({
        serial,
        status,
        expiresAtMs: expiresAt.getTime(),
        isDisowned,
      })),
  };
}

const notedAgainAfterMs = 60_000;

/** Notes that an SVID of a Node was shown which is spent: once a minute, however often it is shown. */
export async function noteSpentShown(db: Database, { id, organization }: Node, at: Date): Promise<void> {
  const before = new Date(at.getTime() - notedAgainAfterMs);
  await db.prisma.node.updateMany({
    where: {
      id,
      organizationId: organization,
      OR: [{ spentShownAt: null }, { spentShownAt: { lt: before } }],
    },
    data: { spentShownAt: at },
  });
}

/** Ids of the active Nodes of which an SVID was shown since then that was spent, the latest first. */
export async function listCopiedNodes(
  db: Database,
  organization: OrganizationId,
  since: Date,
): Promise<readonly { readonly id: NodeId; readonly shownAtMs: number }[]> {
  const rows = await db.prisma.node.findMany({
    where: { organizationId: organization, status: "active", spentShownAt: { gte: since } },
    orderBy: { spentShownAt: "desc" },
    take: 16,
  });
  return rows.map(({ id, spentShownAt }) => ({ id: storedAs(id), shownAtMs: spentShownAt?.getTime() ?? 0 }));
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
    createdAtMs: row.createdAt.getTime(),
    expiresAtMs: row.expiresAt.getTime(),
    status: storedAs(row.status),
    node: storedAsMaybe(row.nodeId),
  };
}

const keptAfterExpiryMs = 24 * 3_600_000;

/** Forgets join tokens and SVIDs of nodes that expired a day ago, but for each node's last one, which the next follows. */
export async function forgetExpiredOfNodes(db: Database, now: Date): Promise<void> {
  const before = new Date(now.getTime() - keptAfterExpiryMs);
  await db.prisma.joinToken.deleteMany({ where: { expiresAt: { lt: before } } });
  await db.prisma.$executeRaw`
    DELETE FROM node_svid s WHERE expires_at < ${before}
      AND EXISTS (SELECT FROM node_svid later WHERE later.node_id = s.node_id AND later.index > s.index)`;
}

/** A Node, and which of the ids asked about its entries rest on. */
export interface TouchedNode {
  readonly node: NodeId;
  readonly ids: readonly string[];
}

/**
 * The Nodes that have an entry which is one of these, or whose agent or its owner is: three looks by an index, for as one
 * join PostgreSQL reads the tables whole, and so OFFSET 0 too. Of what else a deleted entry rested on nothing is told.
 */
export async function listTouchedNodes(
  db: Database,
  ids: readonly string[],
): Promise<readonly TouchedNode[]> {
  const wanted = [...ids];
  const rows = await db.prisma.$queryRaw<{ node: string; ids: string[] }[]>`
    SELECT t.node, array_agg(DISTINCT t.id) AS ids FROM (
      SELECT parent_id AS node, id FROM registration_entry WHERE id = ANY (${wanted}::text[])
      UNION ALL
      SELECT parent_id, agent_id FROM registration_entry
      WHERE agent_id = ANY (${wanted}::text[]) AND status = 'active'
      UNION ALL
      SELECT e.parent_id, u.id FROM "user" u
      JOIN LATERAL (SELECT id, organization_id FROM agent WHERE owner_id = u.id OFFSET 0) a USING (organization_id)
      JOIN LATERAL (SELECT parent_id, organization_id FROM registration_entry
        WHERE agent_id = a.id AND status = 'active' OFFSET 0) e USING (organization_id)
      WHERE u.id = ANY (${wanted}::text[])) t
    WHERE t.node IS NOT NULL GROUP BY t.node`;
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
    attestation: storedAs(row.lastAttestation ?? row.attestation),
    subject: row.lastSubject ?? row.subject,
    selectors: row.selectors,
    status: storedAs(row.status),
    attestedAtMs: row.attestedAt.getTime(),
    svid: svid && { serial: svid.id, expiresAtMs: svid.expiresAt.getTime() },
    spentShownAtMs: row.spentShownAt?.getTime(),
    stoppedAtMs: row.stoppedAt?.getTime(),
  };
}

function svidOf({ id, status, expiresAt }: SvidRow): NodeSvid {
  return { serial: id, status: storedAs(status), expiresAtMs: expiresAt.getTime() };
}
