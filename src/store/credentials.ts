import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { ClientCredential } from "../domain/client.ts";
import type { Database } from "./database.ts";
import { storedAs } from "./stored-as.ts";

/** The keys that speak for a principal now, oldest first. */
export async function listActiveCredentials(
  db: Database,
  organization: OrganizationId,
  principalId: string,
): Promise<readonly ClientCredential[]> {
  const rows = await db.prisma.credential.findMany({
    where: { organizationId: organization, principalId, status: "active" },
    orderBy: { id: "asc" },
  });
  return rows.map(({ id, thumbprint, publicJwk }) => ({ id: storedAs(id), thumbprint, publicJwk }));
}
