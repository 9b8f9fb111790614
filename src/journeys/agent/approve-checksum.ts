import { approvalId, type ChecksumApproval } from "../../domain/agent-checksum.ts";
import type { Write } from "../../store/write.ts";
import { active, callerConditions } from "../record/conditions.ts";
import { type Recorded, record, refuse } from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import { type ChecksumDeps, type ChecksumRequest, knownChecksum } from "./checksum-approval.ts";

/**
 * Records that an Agent may have this configuration, as an operator asserts that its owner wants. From the first one on
 * its SVIDs are issued to workloads alone of which one that is approved then was measured.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `not_found`, `conflict` for one that is approved
 *   already and when the Agent got another owner just now, `subject_not_active`, `ledger_unavailable`
 */
export async function approveChecksum(
  deps: ChecksumDeps,
  request: ChecksumRequest,
): Promise<Recorded<ChecksumApproval>> {
  const { caller, checksum, context } = request;
  const { agent, approval, trail } = await knownChecksum(deps, request, "checksum.approve");
  const id = approvalId(agent.id, checksum);
  if (approval?.status === "approved")
    throw await refuse(deps, "mutation.refused", trail, id, approvedAlready);
  const approvedAtMs = deps.now();
  const row = {
    id,
    organization_id: caller.organization,
    agent_id: agent.id,
    checksum,
    status: "approved",
    approved_at: new Date(approvedAtMs),
  } as const;
  const write: Write =
    approval === undefined
      ? { into: "agent_checksum", row }
      : { set: "agent_checksum", id, from: ["withdrawn"], to: "approved" };
  const ledger = await record(deps, {
    type: "checksum.approved",
    refusedAs: "mutation.refused",
    trail,
    outcome: { detail: { checksum } },
    writes: [write],
    conditions: [
      ...callerConditions(caller),
      { on: "agent", id: agent.id, status: ["active", "suspended"], tenure: agent.tenure },
      active("user", agent.owner),
    ],
    demands: context.demands,
  });
  return { agent: agent.id, checksum, status: "approved", approvedAtMs, ledger };
}

const approvedAlready = plainRefusal("conflict", "the checksum is approved already");
