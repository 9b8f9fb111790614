import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { AppliedPolicy } from "../../domain/policy-version.ts";
import type { WrittenPolicy } from "../../policy/snapshot.ts";
import type { Write } from "../../store/write.ts";
import { callerConditions, keyConditions } from "../record/conditions.ts";
import {
  demandOperator,
  type RecordDeps,
  type Recorded,
  type RequestContext,
  recordUnlessTaken,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";
import { notFollowing, readSigned, type SignedPolicyDeps } from "./signed.ts";

export interface ApplyPolicyDeps extends RecordDeps, SignedPolicyDeps {
  /** From when it resolves on, this process decides by what was committed. */
  readonly reloadPolicies: () => Promise<void>;
}

export interface ApplyPolicyRequest {
  /** An operator. */
  readonly caller: Principal;
  /** The lines. */
  readonly source: string;
  /** That they are to follow the version in force, compact. */
  readonly signature: string;
  readonly context: RequestContext;
}

/** A version that came into force. */
export type Applied = Recorded<{ readonly version: AppliedPolicy }>;

/**
 * Brings a policy into force in the caller's organization. Its applicant signed its hash and the one that it follows: of
 * two that are to follow the same version, one does. The version in force stays where the new one is unfit.
 *
 * @throws DomainError `policy_refused`; `not_authorized` for who is no operator or did not sign it, `invalid_request` for
 *   what is no signature, `conflict` where another version is in force, or one that two operators follow;
 *   `subject_not_active`, `ledger_unavailable`
 */
export async function applyPolicy(deps: ApplyPolicyDeps, request: ApplyPolicyRequest): Promise<Applied> {
  const { caller, source, signature, context } = request;
  const trail: Trail = { ...trailOf(caller, context), action: "policy.apply" };
  const refused = (refusal: Refusal) => refuse(deps, "mutation.refused", trail, "policy", refusal);
  const operator = await demandOperator(deps, "mutation.refused", caller, trail);
  const signed = await readSigned(deps, operator, { source, signature });
  if ("code" in signed) throw await refused(signed);
  const { snapshot, current, client, claimsHash, kid } = signed;
  if (current.twoPerson) throw await refused(needsTwo);
  const version: AppliedPolicy = {
    organization: operator.organization,
    number: current.number + 1,
    hash: snapshot.hash,
    source,
    appliedBy: operator.id,
    signature,
    appliedAtMs: deps.now(),
    twoPerson: snapshot.marks.includes("two-person"),
    approval: undefined,
  };
  const detail = {
    policy: snapshot.hash,
    previous: current.hash,
    number: version.number,
    claims_hash: claimsHash,
  };
  const ledger = await recordUnlessTaken(
    deps,
    {
      type: "policy.applied",
      refusedAs: "mutation.refused",
      trail,
      outcome: { detail },
      writes: writesOf(version, snapshot),
      conditions: [...callerConditions(operator), ...keyConditions(client, kid)],
      demands: context.demands,
    },
    [nextIndex],
  );
  if (ledger === "taken") throw await refused(notFollowing);
  await deps.reloadPolicies();
  return { version, ledger };
}

/** The unique index that lets one version follow each. */
export const nextIndex = "policy_applied_next";

/** The rows of a version that comes into force. */
export function writesOf(
  { organization, appliedAtMs, ...version }: AppliedPolicy,
  { hash, text }: WrittenPolicy,
): readonly Write[] {
  const at = new Date(appliedAtMs);
  const row = {
    organization_id: organization,
    number: version.number,
    hash,
    source: version.source ?? null,
    applied_by: version.appliedBy ?? null,
    signature: version.signature ?? null,
    applied_at: at,
    two_person: version.twoPerson,
    approved_by: version.approval?.by ?? null,
    approval: version.approval?.signature ?? null,
  };
  return [
    { into: "policy_version", row: { hash, text, created_at: at } },
    { into: "policy_applied", row },
  ];
}

const needsTwo = plainRefusal(
  "conflict",
  "the policy in force is marked two-person: propose the next one, and another operator approves it",
);
