import type { OrganizationId, UserId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { offboarding, type User } from "../../domain/user.ts";
import { callerConditions } from "../record/conditions.ts";
import {
  demandFound,
  demandOperator,
  type RecordDeps,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import {
  type ReceiptDeps,
  type RevocationReceipt,
  receiptOf,
  revocationWrite,
} from "../revocation-receipt.ts";

export interface OffboardUserDeps extends RecordDeps, ReceiptDeps {
  readonly findUser: (organization: OrganizationId, id: UserId) => Promise<User | undefined>;
}

export interface OffboardUserRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly user: UserId;
  readonly context: RequestContext;
}

/**
 * Ends a User for good, and at once all that rests on them: one row is marked, and the agents they own and the
 * delegations that come from them or through those agents carry no authority from then on.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `not_found`, `conflict` for one who was offboarded
 *   before, `subject_not_active`, `ledger_unavailable`
 */
export async function offboardUser(
  deps: OffboardUserDeps,
  { caller, user: id, context }: OffboardUserRequest,
): Promise<RevocationReceipt> {
  const asked: Trail = { ...trailOf(caller, context), action: "user.offboard" };
  await demandOperator(deps, "mutation.refused", caller, asked);
  const user = await demandFound(deps, asked, await deps.findUser(caller.organization, id), noUser);
  const trail: Trail = { ...asked, target: { kind: "user", id } };
  if (user.status !== "active") throw await refuse(deps, "mutation.refused", trail, id, offboardedBefore);
  const { from, to, entryType } = offboarding;
  const revocation = {
    organization: caller.organization,
    kind: "user",
    id,
    revokedAtMs: deps.now(),
  } as const;
  const ledger = await record(deps, {
    type: entryType,
    refusedAs: "mutation.refused",
    trail,
    writes: [{ set: "user", id, from, to }, revocationWrite(revocation)],
    conditions: callerConditions(caller),
    demands: context.demands,
  });
  deps.invalidate(id);
  return receiptOf(deps, { ...revocation, index: ledger.index });
}

const noUser = plainRefusal("not_found", "there is no such user");
const offboardedBefore = plainRefusal("conflict", "the user was offboarded before");
