import type { DelegationId, OrganizationId } from "@countersign/sdk/model/ids";
import { logOf } from "@countersign/sdk/model/ids";
import type { AppendEntry } from "../../ledger/append.ts";

/** An expired child delegation with something left. */
export interface ExpiredBudget {
  readonly organization: OrganizationId;
  readonly delegation: DelegationId;
}

export interface ReturnBudgetsDeps {
  readonly append: AppendEntry;
  readonly now: () => number;
  /** A bounded number of those that expired before this time, the ones nearest to the root first. */
  readonly listExpiredBudgets: (before: Date) => Promise<readonly ExpiredBudget[]>;
}

// Another host's clock may be behind: nothing may go back while it could still be spent there.
const graceMs = 60_000;

/**
 * Gives back to their parents what expired delegations and all below them have not spent, each with its entry. To be
 * called every minute; what several replicas return at once is returned once.
 *
 * @throws DomainError as AppendEntry does
 */
export async function returnBudgets(deps: ReturnBudgetsDeps): Promise<void> {
  for (const { organization, delegation } of await deps.listExpiredBudgets(new Date(deps.now() - graceMs))) {
    await deps.append(logOf(organization), {
      entry: {
        type: "budget.returned",
        organization,
        actor: { kind: "system", id: "budgets" },
        delegation,
        cause: "expired",
      },
      writes: [{ refund: delegation }],
    });
  }
}
