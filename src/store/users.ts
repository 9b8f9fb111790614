import type { OrganizationId, UserId } from "@countersign/sdk/model/ids";
import type { User } from "../domain/user.ts";
import type { Database } from "./database.ts";
import type { User as UserRow } from "./generated/client.ts";
import { type Page, storedAs } from "./stored-as.ts";

/** The User of this id in this organization, or undefined. */
export async function findUser(
  db: Database,
  organization: OrganizationId,
  id: UserId,
): Promise<User | undefined> {
  const row = await db.prisma.user.findFirst({ where: { id, organizationId: organization } });
  return row === null ? undefined : userOf(row);
}

/** A page of the organization's Users, by id. */
export async function listUsers(
  db: Database,
  organization: OrganizationId,
  page: Page,
): Promise<readonly User[]> {
  const where = { organizationId: organization, id: { gt: page.after ?? "" } };
  const rows = await db.prisma.user.findMany({ where, orderBy: { id: "asc" }, take: page.limit });
  return rows.map(userOf);
}

function userOf(row: UserRow): User {
  return {
    id: storedAs(row.id),
    organization: storedAs(row.organizationId),
    name: row.name,
    email: row.email ?? undefined,
    status: storedAs(row.status),
    createdAtMs: row.createdAt.getTime(),
  };
}
