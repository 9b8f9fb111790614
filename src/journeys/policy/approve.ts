import type { OperatorId, OrganizationId, ProposalId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { decodeProtectedHeader } from "jose";
import type { Operator } from "../../domain/operator.ts";
import { type AppliedPolicy, type PolicyProposal, standingOf } from "../../domain/policy-version.ts";
import type { Condition } from "../../store/write.ts";
import { callerConditions, keyConditions } from "../record/conditions.ts";
import {
  demandFound,
  demandOperator,
  type RequestContext,
  recordUnlessTaken,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";
import { type Applied, type ApplyPolicyDeps, nextIndex, writesOf } from "./apply.ts";
import { notFollowing, readSigned } from "./signed.ts";

export interface ApprovePolicyDeps extends ApplyPolicyDeps {
  readonly findPolicyProposal: (
    organization: OrganizationId,
    id: ProposalId,
  ) => Promise<PolicyProposal | undefined>;
  readonly findOperator: (organization: OrganizationId, id: OperatorId) => Promise<Operator | undefined>;
}

export interface ApprovePolicyRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly proposal: ProposalId;
  /** That it is to follow the version in force, and which proposal is meant, compact. */
  readonly signature: string;
  readonly context: RequestContext;
}

/**
 * Brings a proposal into force, in one commit: by another operator than the one who proposed it, who was one before it was
 * proposed, and who signed the same hashes. Its proposer, and the key they signed with, are to stand then as well.
 *
 * @throws DomainError as `applyPolicy` does; `not_found`; `not_authorized` for the proposer and for who became an operator since,
 *   `conflict` for a proposal that is approved, withdrawn or over
 */
export async function approvePolicy(
  deps: ApprovePolicyDeps,
  request: ApprovePolicyRequest,
): Promise<Applied> {
  const { caller, proposal: id, signature, context } = request;
  const trail: Trail = { ...trailOf(caller, context), action: "policy.approve" };
  const refused = (refusal: Refusal) => refuse(deps, "mutation.refused", trail, id, refusal);
  const operator = await demandOperator(deps, "mutation.refused", caller, trail);
  const { organization } = operator;
  const proposal = await demandFound(
    deps,
    trail,
    await deps.findPolicyProposal(organization, id),
    noProposal,
  );
  const current = await deps.findAppliedPolicy(organization, "current");
  const standing = standingOf(proposal, current?.number ?? 0, deps.now());
  if (standing !== "open") throw await refused(plainRefusal("conflict", `the proposal is ${standing}`));
  if (!(await isSecond(deps, operator, proposal))) throw await refused(notSecond);
  const { source, hash } = proposal;
  const signed = await readSigned(deps, operator, { source, signature, proposal: id });
  if ("code" in signed) throw await refused(signed);
  const { snapshot, client, claimsHash, kid } = signed;
  // Of lines that mean something else by now, as after a change of the issuer, the proposer signed nothing.
  if (snapshot.hash !== hash || signed.current.number + 1 !== proposal.number)
    throw await refused(notFollowing);
  const first = await proposerConditions(deps, proposal);
  if ("code" in first) throw await refused(first);

  const version: AppliedPolicy = {
    ...{ organization, number: proposal.number, hash, source },
    appliedBy: proposal.proposedBy,
    signature: proposal.signature,
    appliedAtMs: deps.now(),
    twoPerson: snapshot.marks.includes("two-person"),
    approval: { by: operator.id, signature },
  };
  const detail = {
    policy: hash,
    previous: proposal.previous,
    number: version.number,
    claims_hash: claimsHash,
  };
  const ledger = await recordUnlessTaken(
    deps,
    {
      type: "policy.applied",
      refusedAs: "mutation.refused",
      trail,
      outcome: { detail: { ...detail, proposal: id, proposed_by: proposal.proposedBy } },
      writes: [
        ...writesOf(version, snapshot),
        { set: "policy_proposal", id, from: ["open"], to: "approved" },
      ],
      conditions: [...callerConditions(operator), ...keyConditions(client, kid), ...first],
      demands: context.demands,
    },
    [nextIndex],
  );
  if (ledger === "taken") throw await refused(notFollowing);
  await deps.reloadPolicies();
  return { version, ledger };
}

/** Whether an operator is a second one: nobody makes that one up once there is something to approve. */
async function isSecond(
  { findOperator }: Pick<ApprovePolicyDeps, "findOperator">,
  { organization, id }: Extract<Principal, { kind: "operator" }>,
  { proposedBy, proposedAtMs }: PolicyProposal,
): Promise<boolean> {
  const approver = await findOperator(organization, id);
  return approver !== undefined && id !== proposedBy && approver.createdAtMs < proposedAtMs;
}

/** That who proposed it is an operator still, by the key that they signed with; or why they are not. */
async function proposerConditions(
  { findClient }: Pick<ApprovePolicyDeps, "findClient">,
  { organization, proposedBy, signature }: PolicyProposal,
): Promise<readonly Condition[] | Refusal> {
  const principal = { kind: "operator", organization, id: proposedBy } as const;
  const client = await findClient(principal);
  const ofKey = client && keyConditions(client, decodeProtectedHeader(signature).kid ?? "");
  if (ofKey === undefined || ofKey.length === 0) return proposerGone;
  return [...callerConditions(principal), ...ofKey];
}

/** There is none of this id. */
export const noProposal = plainRefusal("not_found", "there is no such proposal");
const notSecond = plainRefusal(
  "not_authorized",
  "another operator approves it than the one who proposed it, who was one before it was proposed",
);
const proposerGone = plainRefusal(
  "conflict",
  "the key that the proposal was signed with speaks for nobody any more",
);
