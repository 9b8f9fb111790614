import type { DelegationId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Delegation } from "../../domain/delegation.ts";
import type { DelegationChain } from "../../domain/delegation-chain.ts";
import type { Write } from "../../store/write.ts";
import { callerConditions } from "../record/conditions.ts";
import {
  type RecordDeps,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import type { Refusal } from "../record/refusal.ts";
import {
  type ReceiptDeps,
  type RevocationReceipt,
  receiptOf,
  revocationWrite,
} from "../revocation-receipt.ts";
import { targetOf } from "./refusal-reasons.ts";

export interface RevokeDelegationDeps extends RecordDeps, ReceiptDeps {
  /** Not cached: what is revoked already must say so. */
  readonly findDelegationChain: (
    organization: OrganizationId,
    id: DelegationId,
  ) => Promise<DelegationChain | undefined>;
}

export interface RevokeDelegationRequest {
  /** An operator, or the grantee of a delegation above. */
  readonly caller: Principal;
  readonly delegation: DelegationId;
  readonly context: RequestContext;
}

/**
 * Ends a delegation and everything below it at once: one row is marked, and whatever is below has it on its path. If the
 * receipt can't be made, the revocation stands all the same, and its receipt can be asked for.
 *
 * @throws DomainError `not_found` for one that is not there or not the caller's to end, `conflict` for one that was
 *   revoked before, `subject_not_active`, `ledger_unavailable`
 */
export async function revokeDelegation(
  deps: RevokeDelegationDeps,
  { caller, delegation: id, context }: RevokeDelegationRequest,
): Promise<RevocationReceipt> {
  const { organization } = caller;
  const asked: Trail = { ...trailOf(caller, context), action: "delegation.revoke", delegation: id };
  const chain = await deps.findDelegationChain(organization, id);
  if (chain === undefined || !mayRevoke(caller, chain)) {
    throw await refuse(deps, "mutation.refused", asked, targetOf(chain), notTheirs);
  }
  const { delegation } = chain.leaf;
  const { owner } = chain.hops.find(({ agent }) => agent.id === caller.id) ?? chain.leaf;
  const trail: Trail = {
    ...asked,
    target: { kind: "agent", id: delegation.grantee },
    owner: owner.id,
    subject: chain.subject.id,
    path: [...delegation.path],
    resource: chain.resource.audience,
  };
  if (delegation.status !== "active") throw await refuse(deps, "mutation.refused", trail, id, revokedBefore);
  const revocation = { organization, kind: "delegation", id, revokedAtMs: deps.now() } as const;
  const ledger = await record(deps, {
    type: "delegation.revoked",
    refusedAs: "mutation.refused",
    trail,
    writes: [
      { set: "delegation", id, from: ["active"], to: "revoked" },
      revocationWrite(revocation),
      ...refundOf(delegation),
    ],
    conditions: callerConditions(caller),
    demands: context.demands,
  });
  deps.invalidate(id);
  return receiptOf(deps, { ...revocation, index: ledger.index });
}

/** What it and all below it have not spent goes back to its parent. */
function refundOf({ id, budget, parent }: Delegation): Write[] {
  return parent === undefined || Object.keys(budget).length === 0 ? [] : [{ refund: id }];
}

/** An agent ends what it or those below it granted: the delegations below its own. */
function mayRevoke(caller: Principal, { hops }: DelegationChain): boolean {
  switch (caller.kind) {
    case "operator":
      return true;
    case "agent":
      return hops.slice(0, -1).some(({ agent }) => agent.id === caller.id);
    case "resource":
    case "node":
      return false;
  }
}

const notTheirs: Refusal = {
  code: "not_found",
  publicDetail: "there is no such delegation",
  reason: "not there, or not the caller's to end",
};

const revokedBefore: Refusal = {
  code: "conflict",
  publicDetail: "the delegation was revoked before",
  reason: "revoked before",
};
