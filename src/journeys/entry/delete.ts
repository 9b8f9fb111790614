import type { EntryId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { RegistrationEntry } from "../../domain/registration-entry.ts";
import { callerConditions } from "../record/conditions.ts";
import {
  demandFound,
  demandOperator,
  type RecordDeps,
  type Recorded,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";

export interface DeleteEntryDeps extends RecordDeps {
  readonly findEntry: (organization: OrganizationId, id: EntryId) => Promise<RegistrationEntry | undefined>;
}

export interface DeleteEntryRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly entry: EntryId;
  readonly context: RequestContext;
}

/**
 * Ends a RegistrationEntry: from this commit on no SVID is issued on it. Those that were buy no
 * token any more, and stay good with others until they end.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `not_found`, `conflict` for one that is deleted,
 *   `ledger_unavailable`
 */
export async function deleteEntry(
  deps: DeleteEntryDeps,
  { caller, entry: id, context }: DeleteEntryRequest,
): Promise<Recorded<RegistrationEntry>> {
  const asked: Trail = { ...trailOf(caller, context), action: "entry.delete" };
  await demandOperator(deps, "mutation.refused", caller, asked);
  const entry = await demandFound(deps, asked, await deps.findEntry(caller.organization, id), noEntry);
  const trail: Trail = { ...asked, target: { kind: "agent", id: entry.agent } };
  if (entry.status !== "active") throw await refuse(deps, "mutation.refused", trail, id, deleted);
  const ledger = await record(deps, {
    type: "entry.deleted",
    refusedAs: "mutation.refused",
    trail,
    outcome: { detail: { entry: id } },
    writes: [{ set: "registration_entry", id, from: ["active"], to: "deleted" }],
    conditions: callerConditions(caller),
    demands: context.demands,
  });
  return { ...entry, status: "deleted", ledger };
}

const noEntry = plainRefusal("not_found", "there is no such entry");
const deleted = plainRefusal("conflict", "the entry is deleted already");
