import { isCount } from "./count.ts";

const plainUnits = ["tokens", "calls", "rows"] as const;

/** Money of one currency, by its ISO 4217 code, in the smallest units that it has: `spend:EUR` counts cents. */
export type SpendUnit = `spend:${string}`;

/** What can be limited: issuances of tokens, calls that are authorized, and the rows and the money that these may take. */
export type BudgetUnit = (typeof plainUnits)[number] | SpendUnit;

/** Allowance per unit, a whole number from 0 up; a unit that is absent is not limited. */
export type Budget = Readonly<Record<string, number>>;

/**
 * Why a child's budget is wider than its parent's; undefined: it is not. What the parent limits the child must limit
 * too, explicitly, by no more than the parent's whole allowance. What of that is left is the ledger's to know. Who may spend in
 * some currencies may spend in no other, so a child can't add one.
 */
export function budgetBeyond(parent: Budget, child: Budget): string | undefined {
  for (const budget of [parent, child]) {
    const legal = Object.entries(budget).every(
      ([unit, allowance]) => isBudgetUnit(unit) && isCount(allowance),
    );
    if (!legal)
      return `a budget is a whole number from 0 up of ${plainUnits.join(", ")}, or of spend:EUR or the like`;
  }
  for (const unit of unitsOf(parent)) {
    const limit = allowanceOf(parent, unit);
    const asked = allowanceOf(child, unit);
    if (limit === undefined) continue;
    if (asked === undefined) return `${unit} are limited: say a share of ${unit}, at most ${limit}`;
    if (asked > limit) return `at most ${limit} ${unit} are delegated`;
  }
  const spendable = unitsOf(parent).filter(isSpendUnit);
  const added = unitsOf(child).find((unit) => isSpendUnit(unit) && !spendable.includes(unit));
  if (spendable.length === 0 || added === undefined) return undefined;
  return `${added} can't be spent: ${spendable.join(", ")} can`;
}

/** The units that a budget limits. */
export function unitsOf(budget: Budget): BudgetUnit[] {
  return Object.keys(budget).filter(isBudgetUnit);
}

/** Whether a unit is money. */
export function isSpendUnit(unit: string): unit is SpendUnit {
  return /^spend:[A-Z]{3}$/.test(unit);
}

function allowanceOf(budget: Budget, unit: BudgetUnit): number | undefined {
  return Object.hasOwn(budget, unit) ? budget[unit] : undefined;
}

function isBudgetUnit(text: string): text is BudgetUnit {
  return plainUnits.some((unit) => unit === text) || isSpendUnit(text);
}
