import { spellingsOf } from "@countersign/sdk/model/audience";
import type { OrganizationId, ResourceId } from "@countersign/sdk/model/ids";
import type { Resource } from "../domain/resource.ts";
import type { Database } from "./database.ts";
import type { Resource as ResourceRow } from "./generated/client.ts";
import { type Page, storedAs, storedAsMaybe } from "./stored-as.ts";

/** The Resource of this id in this organization, or undefined. */
export async function findResource(
  db: Database,
  organization: OrganizationId,
  id: ResourceId,
): Promise<Resource | undefined> {
  const row = await db.prisma.resource.findFirst({ where: { id, organizationId: organization } });
  return row === null ? undefined : resourceOf(row);
}

/** The Resource that a URI names in this organization; an origin is found with and without its slash. */
export async function findResourceByAudience(
  db: Database,
  organization: OrganizationId,
  audience: string,
): Promise<Resource | undefined> {
  const row = await db.prisma.resource.findFirst({
    where: { organizationId: organization, audience: { in: spellingsOf(audience) } },
  });
  return row === null ? undefined : resourceOf(row);
}

/** A page of the organization's Resources, by id. */
export async function listResources(
  db: Database,
  organization: OrganizationId,
  page: Page,
): Promise<readonly Resource[]> {
  const where = { organizationId: organization, id: { gt: page.after ?? "" } };
  const rows = await db.prisma.resource.findMany({ where, orderBy: { id: "asc" }, take: page.limit });
  return rows.map(resourceOf);
}

/** A row as the domain knows it. */
function resourceOf(row: ResourceRow): Resource {
  return {
    id: storedAs(row.id),
    organization: storedAs(row.organizationId),
    audience: storedAs(row.audience),
    scope: row.scope,
    owner: storedAsMaybe(row.ownerId),
    open: row.open,
    status: storedAs(row.status),
    createdAtMs: row.createdAt.getTime(),
  };
}
