import type { AgentId, EntryId, NodeId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Database } from "./database.ts";
import { purgeDelayMs } from "./replay.ts";
import { storedAs, storedAsMaybe } from "./stored-as.ts";

/** An SVID as it was recorded, what it rests on, and which of that still stood when it was read. */
export interface RecordedSvid {
  readonly agent: AgentId;
  readonly entry: EntryId;
  /** Who attested; undefined: the server itself. */
  readonly node: NodeId | undefined;
  /** Of the configuration that was measured. */
  readonly checksum: string | undefined;
  readonly claimsHash: string;
  readonly issuedAtMs: number;
  readonly stands: {
    readonly entry: boolean;
    /** False for one that goes on after a stop: that it stands still is told otherwise. */
    readonly agent: boolean;
    /** And was neither evicted nor joined anew since. */
    readonly node: boolean;
    readonly checksum: boolean;
  };
}

interface SvidRow {
  readonly agent_id: string;
  readonly entry_id: string;
  readonly node_id: string | null;
  readonly checksum: string | null;
  readonly claims_hash: string;
  readonly issued_at: Date;
  readonly entry_stands: boolean;
  readonly agent_stands: boolean;
  readonly node_stands: boolean;
  readonly checksum_stands: boolean;
}

/** The SVID of this serial number or `jti` in this organization, or undefined. One that ended a while ago is forgotten. */
export async function findSvid(
  db: Database,
  organization: OrganizationId,
  id: string,
): Promise<RecordedSvid | undefined> {
  const [row] = await db.prisma.$queryRaw<SvidRow[]>`
    SELECT s.agent_id, s.entry_id, s.node_id, s.checksum, s.claims_hash, s.issued_at,
      EXISTS (SELECT FROM registration_entry e WHERE e.id = s.entry_id AND e.status = 'active') AS entry_stands,
      NOT EXISTS (SELECT FROM agent a WHERE a.id = s.agent_id AND a.status = 'active'
        AND a.stopped_at >= s.issued_at) AS agent_stands,
      s.node_id IS NULL OR EXISTS (SELECT FROM node n WHERE n.id = s.node_id AND n.status = 'active'
        AND coalesce(n.stopped_at < s.issued_at, true)) AS node_stands,
      NOT EXISTS (SELECT FROM agent_checksum c WHERE c.agent_id = s.agent_id)
        OR EXISTS (SELECT FROM agent_checksum c
          WHERE c.agent_id = s.agent_id AND c.checksum = s.checksum AND c.status = 'approved') AS checksum_stands
    FROM svid s WHERE s.id = ${id} AND s.organization_id = ${organization}`;
  if (row === undefined) return undefined;
  return {
    agent: storedAs(row.agent_id),
    entry: storedAs(row.entry_id),
    node: storedAsMaybe(row.node_id),
    checksum: row.checksum ?? undefined,
    claimsHash: row.claims_hash,
    issuedAtMs: row.issued_at.getTime(),
    stands: {
      entry: row.entry_stands,
      agent: row.agent_stands,
      node: row.node_stands,
      checksum: row.checksum_stands,
    },
  };
}

const forgottenAtOnce = 1_000;

/** Forgets the SVIDs that ended a while ago, a small batch at a time: another host, whose clock is behind, may still take one. */
export async function forgetExpiredSvids(db: Database, now: Date): Promise<void> {
  const before = new Date(now.getTime() - purgeDelayMs);
  let deleted: number;
  do {
    deleted = await db.prisma.$executeRaw`
      DELETE FROM svid WHERE id IN (
        SELECT id FROM svid WHERE expires_at < ${before}
        ORDER BY expires_at LIMIT ${forgottenAtOnce} FOR UPDATE SKIP LOCKED)`;
  } while (deleted === forgottenAtOnce);
}
