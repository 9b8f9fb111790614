import type { OperatorId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Operator } from "../domain/operator.ts";
import type { Database } from "./database.ts";
import type { Operator as OperatorRow } from "./generated/client.ts";
import { type Page, storedAs } from "./stored-as.ts";

/** The Operator of this id in this organization, or undefined. */
export async function findOperator(
  db: Database,
  organization: OrganizationId,
  id: OperatorId,
): Promise<Operator | undefined> {
  const row = await db.prisma.operator.findFirst({ where: { id, organizationId: organization } });
  return row === null ? undefined : operatorOf(row);
}

/** A page of the organization's Operators, by id. */
export async function listOperators(
  db: Database,
  organization: OrganizationId,
  page: Page,
): Promise<readonly Operator[]> {
  const where = { organizationId: organization, id: { gt: page.after ?? "" } };
  const rows = await db.prisma.operator.findMany({ where, orderBy: { id: "asc" }, take: page.limit });
  return rows.map(operatorOf);
}

function operatorOf(row: OperatorRow): Operator {
  return {
    id: storedAs(row.id),
    organization: storedAs(row.organizationId),
    name: row.name,
    status: storedAs(row.status),
    createdAtMs: row.createdAt.getTime(),
  };
}
