import { newId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { User } from "../../domain/user.ts";
import { callerConditions } from "../record/conditions.ts";
import {
  type CreateDeps,
  demandOperator,
  type Recorded,
  type RequestContext,
  record,
  type Trail,
  trailOf,
} from "../record/record.ts";

export interface CreateUserRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly name: string;
  readonly email?: string | undefined;
  readonly context: RequestContext;
}

/**
 * Makes a User. Name and address are kept in the database; the entry has the id only.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `subject_not_active`, `ledger_unavailable`
 */
export async function createUser(
  deps: CreateDeps,
  { caller, name, email, context }: CreateUserRequest,
): Promise<Recorded<User>> {
  const { organization } = caller;
  const nowMs = deps.now();
  const trail: Trail = { ...trailOf(caller, context), action: "user.create" };
  await demandOperator(deps, "mutation.refused", caller, trail);
  const id = newId("user", nowMs, deps.randomBytes(16));
  const user: User = { id, organization, name, email, status: "active", createdAtMs: nowMs };
  const row = {
    id,
    organization_id: organization,
    name,
    email: email ?? null,
    status: "active",
    created_at: new Date(nowMs),
  } as const;
  const ledger = await record(deps, {
    type: "user.created",
    refusedAs: "mutation.refused",
    trail,
    outcome: { target: { kind: "user", id } },
    writes: [{ into: "user", row }],
    conditions: callerConditions(caller),
    demands: context.demands,
  });
  return { ...user, ledger };
}
