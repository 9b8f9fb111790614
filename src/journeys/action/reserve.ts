import { type Budget, type BudgetUnit, isSpendUnit, unitsOf } from "@countersign/sdk/model/budget";
import type { ActionId } from "@countersign/sdk/model/ids";
import { minorUnitsOf } from "@countersign/sdk/model/money";
import type { Delegation } from "../../domain/delegation.ts";
import type { ActionCost } from "../../domain/intended-action.ts";
import type { Write } from "../../store/write.ts";
import { spend } from "../delegation/new-delegation.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";

/** How much of one unit an action may use at most. */
export interface Hold {
  readonly unit: BudgetUnit;
  readonly amount: number;
}

/**
 * What an action takes from the budget that it is done on, beside a call; or why it can't be counted. Where the delegation
 * limits something, the agent has to say how much of it the action uses: who keeps silent would pass uncounted.
 */
export function holdsOf(budget: Budget, { spend: sum, rows }: ActionCost = {}): readonly Hold[] | Refusal {
  const limited = unitsOf(budget);
  const spendable = limited.filter(isSpendUnit);
  const holds: Hold[] = [];
  if (spendable.length > 0) {
    const unit = spendable.find((one) => one === `spend:${sum?.unit}`);
    const amount = sum && minorUnitsOf(sum);
    if (unit === undefined || amount === undefined) {
      return uncounted(
        `the delegation limits ${spendable.join(", ")}: say cost.spend, at most, in one of them`,
      );
    }
    holds.push({ unit, amount });
  }
  if (limited.includes("rows")) {
    if (rows === undefined) return uncounted("the delegation limits rows: say cost.rows, at most");
    holds.push({ unit: "rows", amount: rows });
  }
  return holds;
}

/** Takes what is held from the delegation, until somebody tells what the action used of it. */
export function reserveWrites(
  action: ActionId,
  leaf: Delegation | undefined,
  holds: readonly Hold[],
  nowMs: number,
): Write[] {
  if (leaf === undefined) return [];
  return holds.flatMap(({ unit, amount }): Write[] => {
    const row = {
      action_id: action,
      unit,
      organization_id: leaf.organization,
      delegation_id: leaf.id,
      reserved: amount,
      counted: amount,
      status: "reserved",
      reserved_at: new Date(nowMs),
    } as const;
    return [...spend(leaf, unit, amount), { into: "reservation", row }];
  });
}

/** How an entry tells amounts by unit: `rows 10`. */
export function toldOf(holds: readonly Hold[]): string[] {
  return holds.map(({ unit, amount }) => `${unit} ${amount}`);
}

function uncounted(publicDetail: string): Refusal {
  return plainRefusal("budget_exhausted", publicDetail);
}
