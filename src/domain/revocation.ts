import type { AgentId, DelegationId, OrganizationId } from "@countersign/sdk/model/ids";
import type { RevocationKind } from "@countersign/sdk/model/revocation-kind";

/** What is, or would be, revoked. */
export interface RevokedNode {
  readonly organization: OrganizationId;
  readonly kind: RevocationKind;
  readonly id: string;
}

/** A revocation as it was committed. */
export interface Revocation extends RevokedNode {
  /** Where its entry stands in the organization's log. */
  readonly index: number;
  readonly revokedAtMs: number;
}

/** A Delegation that rests on what was revoked, as far as nothing ever changes of it. */
export interface ReachedDelegation {
  readonly id: DelegationId;
  readonly root: DelegationId;
  readonly parent: DelegationId | undefined;
  readonly grantee: AgentId;
  readonly expiresAtMs: number;
}

/** Behind a Delegation in the order by root and id. */
export type ReachPlace = Pick<ReachedDelegation, "root" | "id">;

/** What ends with what is revoked, itself not counted. */
export interface Reach {
  readonly delegations: number;
  /** Other agents that were their grantees. */
  readonly agents: number;
}

/** What would end if something were revoked now. */
export interface ReachNow {
  readonly counts: Reach;
  /** Of the Delegations, itself included, those that carry authority now; and their grantees. */
  readonly live: Reach;
  /** Undefined where none is live. */
  readonly expiries: { readonly soonestMs: number; readonly latestMs: number } | undefined;
}
