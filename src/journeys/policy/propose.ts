import { newId } from "@countersign/sdk/model/ids";
import type { PolicyProposal } from "../../domain/policy-version.ts";
import { callerConditions, keyConditions } from "../record/conditions.ts";
import {
  type CreateDeps,
  demandOperator,
  type Recorded,
  recordUnlessTaken,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";
import type { ApplyPolicyRequest } from "./apply.ts";
import { readSigned, type SignedPolicyDeps } from "./signed.ts";

export type ProposePolicyDeps = CreateDeps & SignedPolicyDeps;

/** A proposal as it was recorded. */
export type Proposed = Recorded<{ readonly proposal: PolicyProposal }>;

/**
 * Proposes a policy where the one in force is marked two-person: signed and fit as one that is applied, it waits for another
 * operator. Nothing decides by it meanwhile.
 *
 * @throws DomainError as `applyPolicy` does; `conflict` also where one operator suffices, and for who has a proposal already
 */
export async function proposePolicy(deps: ProposePolicyDeps, request: ApplyPolicyRequest): Promise<Proposed> {
  const { caller, source, signature, context } = request;
  const trail: Trail = { ...trailOf(caller, context), action: "policy.propose" };
  const refused = (refusal: Refusal) => refuse(deps, "mutation.refused", trail, "policy", refusal);
  const operator = await demandOperator(deps, "mutation.refused", caller, trail);
  const signed = await readSigned(deps, operator, { source, signature });
  if ("code" in signed) throw await refused(signed);
  const { snapshot, current, client, claimsHash, kid } = signed;
  if (!current.twoPerson) throw await refused(oneSuffices);
  const nowMs = deps.now();
  const proposal: PolicyProposal = {
    id: newId("proposal", nowMs, deps.randomBytes(16)),
    organization: operator.organization,
    number: current.number + 1,
    hash: snapshot.hash,
    previous: current.hash,
    source,
    proposedBy: operator.id,
    signature,
    proposedAtMs: nowMs,
    status: "open",
  };
  const { id, number, hash, previous } = proposal;
  const row = {
    id,
    organization_id: operator.organization,
    number,
    hash,
    previous,
    source,
    proposed_by: operator.id,
    signature,
    proposed_at: new Date(nowMs),
    status: "open",
  } as const;
  const ledger = await recordUnlessTaken(
    deps,
    {
      type: "policy.proposed",
      refusedAs: "mutation.refused",
      trail,
      outcome: { detail: { proposal: id, policy: hash, previous, number, claims_hash: claimsHash } },
      writes: [{ into: "policy_proposal", row }],
      conditions: [...callerConditions(operator), ...keyConditions(client, kid)],
      demands: context.demands,
    },
    ["policy_proposal_once"],
  );
  if (ledger === "taken") throw await refused(oneAtATime);
  return { proposal, ledger };
}

const oneSuffices = plainRefusal(
  "conflict",
  "the policy in force is not marked two-person: apply the next one",
);
const oneAtATime = plainRefusal("conflict", "you have a proposal already: withdraw it first");
