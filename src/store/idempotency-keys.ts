import type { LogId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Database } from "./database.ts";
import { storedAs } from "./stored-as.ts";

/** Names one key of one principal. */
export interface IdempotencyKeyName {
  readonly organization: OrganizationId;
  readonly principal: string;
  readonly key: string;
}

/** What a key stands for. */
export interface StoredIdempotencyKey {
  readonly requestHash: string;
  readonly log: LogId;
  readonly index: number;
  readonly createdAt: Date;
  /** Undefined as long as none was added. */
  readonly answer: SealedAnswer | undefined;
}

/** What was answered to the first request of a key; its text is encrypted. */
export interface SealedAnswer {
  readonly status: number;
  readonly sealed: Uint8Array;
  readonly dataKeyId: string;
}

/** What the key stands for, or undefined when nothing that bore it was done. */
export async function findIdempotencyKey(
  db: Database,
  name: IdempotencyKeyName,
): Promise<StoredIdempotencyKey | undefined> {
  const row = await db.prisma.idempotencyKey.findUnique({ where: uniquely(name) });
  if (row === null) return undefined;
  const { requestHash, logId, index, createdAt, status, sealed, dataKeyId } = row;
  const answer =
    status === null || sealed === null || dataKeyId === null ? undefined : { status, sealed, dataKeyId };
  return { requestHash, log: storedAs(logId), index: Number(index), createdAt, answer };
}

/** Adds the answer to a key that stands for something and has none yet. */
export async function addAnswer(
  db: Database,
  name: IdempotencyKeyName,
  { status, sealed, dataKeyId }: SealedAnswer,
): Promise<void> {
  const { organizationId, principalId, key } = uniquely(name).organizationId_principalId_key;
  await db.prisma.idempotencyKey.updateMany({
    where: { organizationId, principalId, key, status: null },
    data: { status, sealed: Uint8Array.from(sealed), dataKeyId },
  });
}

/** Forgets what has expired: its key may stand for something else. */
export async function forgetExpiredIdempotencyKeys(db: Database, now: Date): Promise<void> {
  await db.prisma.idempotencyKey.deleteMany({ where: { expiresAt: { lt: now } } });
}

function uniquely({ organization, principal, key }: IdempotencyKeyName) {
  return { organizationId_principalId_key: { organizationId: organization, principalId: principal, key } };
}
