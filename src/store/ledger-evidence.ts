import type { LogId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Database } from "./database.ts";

/** What a decision was made from, encrypted; erased by losing its data key or its row. */
export interface StoredDecisionInput {
  /** SHA-256 of the plaintext, base64url: what the entry holds. */
  readonly hash: string;
  readonly sealed: Uint8Array;
  readonly dataKeyId: string;
}

/** The policy texts with these hashes, by hash. */
export async function readPolicyTexts(
  db: Database,
  hashes: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (hashes.length === 0) return new Map();
  const rows = await db.prisma.policyVersion.findMany({ where: { hash: { in: [...hashes] } } });
  return new Map(rows.map(({ hash, text }) => [hash, text]));
}

/** An organization's decision inputs with these hashes, by hash. */
export async function readDecisionInputs(
  db: Database,
  organization: OrganizationId,
  hashes: readonly string[],
): Promise<ReadonlyMap<string, StoredDecisionInput>> {
  if (hashes.length === 0) return new Map();
  const rows = await db.prisma.decisionInput.findMany({
    where: { hash: { in: [...hashes] }, organizationId: organization },
    select: { hash: true, sealed: true, dataKeyId: true },
  });
  return new Map(rows.map((row) => [row.hash, row]));
}

/** The public keys, as JWK texts, that ever signed a log's checkpoints. */
export async function readLogPublicJwks(db: Database, log: LogId): Promise<readonly string[]> {
  const rows = await db.prisma.signingKey.findMany({
    where: { purpose: "log", logId: log, status: { not: "next" } },
    orderBy: { createdAt: "asc" },
    select: { publicJwk: true },
  });
  return rows.map(({ publicJwk }) => publicJwk);
}
