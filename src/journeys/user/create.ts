import { newId, type UserId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { callerConditions } from "../conditions.ts";
import { type LedgerPosition, type RecordDeps, type RequestContext, record, trailOf } from "../record.ts";

export interface CreateUserDeps extends RecordDeps {
  readonly now: () => number;
  readonly randomBytes: (size: number) => Uint8Array;
}

export interface CreateUserRequest {
  /** An operator who may administer. */
  readonly caller: Principal;
  readonly name: string;
  readonly email?: string | undefined;
  readonly context: RequestContext;
}

/**
 * Makes a User. Name and address are kept in the database; the entry has the id only.
 *
 * @throws DomainError `subject_not_active`, `ledger_unavailable`
 */
export async function createUser(
  deps: CreateUserDeps,
  { caller, name, email, context }: CreateUserRequest,
): Promise<{ readonly id: UserId; readonly ledger: LedgerPosition }> {
  const nowMs = deps.now();
  const id = newId("user", nowMs, deps.randomBytes(16));
  const row = {
    id,
    organization_id: caller.organization,
    name,
    email: email ?? null,
    status: "active",
    created_at: new Date(nowMs),
  } as const;
  const ledger = await record(deps, {
    type: "user.created",
    refusedAs: "mutation.refused",
    trail: { ...trailOf(caller, context), action: "user.create" },
    outcome: { subject: id },
    writes: [{ into: "user", row }],
    conditions: callerConditions(caller),
  });
  return { id, ledger };
}
