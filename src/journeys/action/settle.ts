import type { ActionReportClaims } from "@countersign/sdk/contract/action-report";
import { type BudgetUnit, isSpendUnit } from "@countersign/sdk/model/budget";
import type { ActionId, OrganizationId } from "@countersign/sdk/model/ids";
import { minorUnitsFor } from "@countersign/sdk/model/money";
import type { Write } from "../../store/write.ts";
import type { Hold } from "./reserve.ts";

export interface SettleDeps {
  /** What was reserved for an action, as it was then. */
  readonly listReservations: (organization: OrganizationId, action: ActionId) => Promise<readonly Hold[]>;
}

/** What a report makes of what was reserved for its action. */
export interface Settlement {
  readonly writes: readonly Write[];
  /** What was used beyond that. */
  readonly over: readonly Hold[];
}

/**
 * What a report makes of what was reserved for the action that it accounts for: what was used is spent and the rest is free
 * again; what was used beyond is spent as far as the budget has any left. A report that does not tell how much was used says
 * nothing against the whole.
 *
 * @param action undefined for a report that accounts for none
 */
export async function settlementOf(
  deps: SettleDeps,
  organization: OrganizationId,
  action: ActionId | undefined,
  deed: ActionReportClaims["report"],
): Promise<Settlement> {
  if (action === undefined) return { writes: [], over: [] };
  const held = await deps.listReservations(organization, action);
  const settled = held.map(({ unit, amount: reserved }) => {
    const used = usedOf(deed, unit) ?? reserved;
    return { unit, used, amount: used - reserved };
  });
  return {
    writes: settled.map(({ unit, used }) => ({ settle: action, unit, used })),
    over: settled.flatMap(({ unit, amount }) => (amount > 0 ? [{ unit, amount }] : [])),
  };
}

function usedOf({ cost, rows }: ActionReportClaims["report"], unit: BudgetUnit): number | undefined {
  if (unit === "rows") return rows;
  return isSpendUnit(unit) && cost !== undefined && unit === `spend:${cost.unit}`
    ? minorUnitsFor(cost)
    : undefined;
}
