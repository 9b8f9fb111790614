import type { BudgetUnit } from "@countersign/sdk/model/budget";
import type { ActionId, DelegationId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Database } from "./database.ts";
import { storedAs } from "./stored-as.ts";

/** What was reserved for an action, by unit, whatever became of it since. */
export async function listReservations(
  db: Database,
  organization: OrganizationId,
  action: ActionId,
): Promise<readonly { readonly unit: BudgetUnit; readonly amount: number }[]> {
  const rows = await db.prisma.reservation.findMany({
    where: { organizationId: organization, actionId: action },
    orderBy: { unit: "asc" },
  });
  return rows.map(({ unit, reserved }) => ({ unit: storedAs<BudgetUnit>(unit), amount: Number(reserved) }));
}

/** Of all organizations, up to 100 actions with something reserved since before this time, the oldest first. */
export async function listUnreported(
  db: Database,
  before: Date,
): Promise<
  readonly {
    readonly organization: OrganizationId;
    readonly delegation: DelegationId;
    readonly action: ActionId;
    readonly holds: readonly { readonly unit: BudgetUnit; readonly amount: number }[];
  }[]
> {
  return db.prisma.$queryRaw`
    SELECT organization_id AS organization, delegation_id AS delegation, action_id AS action,
      json_agg(json_build_object('unit', unit, 'amount', counted) ORDER BY unit) AS holds
    FROM reservation WHERE status = 'reserved' AND reserved_at < ${before}
    GROUP BY organization_id, delegation_id, action_id ORDER BY min(reserved_at), action_id LIMIT 100`;
}
