import { isCount } from "./count.ts";

/** What can be limited: issuances of tokens, and calls that are authorized. */
export const budgetUnits = ["tokens", "calls"] as const;

export type BudgetUnit = (typeof budgetUnits)[number];

/** Allowance per unit, a whole number from 0 up; a unit that is absent is not limited. */
export type Budget = Readonly<Record<string, number>>;

/**
 * Why a child's budget is wider than its parent's; undefined: it is not. What the parent limits the child must limit
 * too, explicitly, by no more than the parent's whole allowance. What of that is left is the ledger's to know.
 */
export function budgetBeyond(parent: Budget, child: Budget): string | undefined {
  for (const budget of [parent, child]) {
    const legal = Object.entries(budget).every(([unit, allowance]) => isUnit(unit) && isCount(allowance));
    if (!legal) return `a budget is a whole number from 0 up of ${budgetUnits.join(" or ")}`;
  }
  for (const unit of budgetUnits) {
    const limit = allowanceOf(parent, unit);
    const asked = allowanceOf(child, unit);
    if (limit === undefined) continue;
    if (asked === undefined) return `${unit} are limited: say a share of ${unit}, at most ${limit}`;
    if (asked > limit) return `at most ${limit} ${unit} are delegated`;
  }
  return undefined;
}

function allowanceOf(budget: Budget, unit: BudgetUnit): number | undefined {
  return Object.hasOwn(budget, unit) ? budget[unit] : undefined;
}

function isUnit(text: string): text is BudgetUnit {
  return budgetUnits.some((unit) => unit === text);
}
