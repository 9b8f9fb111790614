import { type ActionId, type DelegationId, logOf, type OrganizationId } from "@countersign/sdk/model/ids";
import type { AppendEntry } from "../../ledger/append.ts";
import { type Hold, toldOf } from "./reserve.ts";

/** An action of which nobody has told what it used of what was reserved for it. */
export interface UnreportedAction {
  readonly organization: OrganizationId;
  readonly delegation: DelegationId;
  readonly action: ActionId;
  readonly holds: readonly Hold[];
}

export interface ReleaseUnreportedDeps {
  readonly append: AppendEntry;
  readonly now: () => number;
  /** How long what an action may use stays reserved for it. */
  readonly reserveForMs: number;
  /** A bounded number of those that were granted before this time, the oldest first. */
  readonly listUnreported: (before: Date) => Promise<readonly UnreportedAction[]>;
}

/**
 * Gives back to their delegations what was reserved for actions that nobody reported in time, each with its entry. To be
 * called every minute; what several replicas release at once, or is reported just then, is released once or not at all.
 *
 * @throws DomainError as AppendEntry does
 */
export async function releaseUnreported(deps: ReleaseUnreportedDeps): Promise<void> {
  const due = await deps.listUnreported(new Date(deps.now() - deps.reserveForMs));
  for (const { organization, delegation, action, holds } of due) {
    const entry = {
      organization,
      actor: { kind: "system", id: "budgets" },
      delegation,
      cause: "unreported",
      detail: { action_id: action, released: toldOf(holds) },
    } as const;
    const reason = "it was reported or released meanwhile";
    await deps.append(logOf(organization), {
      entry: { ...entry, type: "budget.returned" },
      writes: holds.map(({ unit }) => ({ settle: action, unit, used: null })),
      conditions: [{ on: "reservation", id: action }],
      otherwise: () => ({ ...entry, type: "mutation.refused", refusal: { code: "conflict", reason } }),
    });
  }
}
