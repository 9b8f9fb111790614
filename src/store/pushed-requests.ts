import { hash } from "node:crypto";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Database } from "./database.ts";

/** An authorization request that an authenticated client pushed. */
export interface PushedRequest {
  /** The unguessable part of its `request_uri`. */
  readonly id: string;
  /** Of its client. */
  readonly organization: OrganizationId;
  readonly clientId: string;
  /** JSON. */
  readonly payload: string;
  readonly expiresAt: Date;
}

/** Keeps a pushed request for its one use. */
export async function keepPushedRequest(
  db: Database,
  { id, organization, ...request }: PushedRequest,
): Promise<void> {
  const data = { ...request, id: storedId(id), organizationId: organization };
  await db.prisma.pushedRequest.create({ data });
}

/**
 * Uses a pushed request: of all calls that name it, in whatever process, one gets its payload, and only while it has not
 * expired. Another client than the one that pushed it gets nothing, and uses nothing up.
 */
export async function usePushedRequest(
  db: Database,
  {
    id,
    organization,
    clientId,
    now,
  }: Pick<PushedRequest, "id" | "organization" | "clientId"> & { readonly now: Date },
): Promise<string | undefined> {
  const [row] = await db.prisma.$queryRaw<{ payload: string }[]>`
    UPDATE pushed_request SET used_at = ${now}
    WHERE id = ${storedId(id)} AND organization_id = ${organization} AND client_id = ${clientId} AND used_at IS NULL AND expires_at > ${now}
    RETURNING payload`;
  return row?.payload;
}

/** Forgets requests that nobody can use any more. */
export async function forgetExpiredPushedRequests(db: Database, now: Date): Promise<void> {
  await db.prisma.pushedRequest.deleteMany({ where: { expiresAt: { lt: now } } });
}

function storedId(id: string): string {
  return hash("sha256", id, "base64url");
}
