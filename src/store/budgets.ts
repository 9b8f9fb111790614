import type { DelegationId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Database } from "./database.ts";
import { storedAs } from "./stored-as.ts";

/** What each of these Delegations has left of its budget, by unit; one that is not limited is absent. */
export async function readBudgetsLeft(
  db: Database,
  organization: OrganizationId,
  delegations: readonly DelegationId[],
): Promise<ReadonlyMap<DelegationId, Readonly<Record<string, number>>>> {
  const rows = await db.prisma.budget.findMany({
    where: { organizationId: organization, delegationId: { in: [...delegations] } },
    orderBy: { unit: "asc" },
  });
  const lefts = new Map<DelegationId, Record<string, number>>();
  for (const { delegationId, unit, allowance, spent } of rows) {
    const id = storedAs<DelegationId>(delegationId);
    lefts.set(id, { ...lefts.get(id), [unit]: Number(allowance - spent) });
  }
  return lefts;
}
