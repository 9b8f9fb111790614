import { approvalId, type ChecksumApproval } from "../../domain/agent-checksum.ts";
import { callerConditions } from "../record/conditions.ts";
import { type Recorded, record, refuse } from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import { type ChecksumDeps, type ChecksumRequest, knownChecksum } from "./checksum-approval.ts";

/**
 * Takes back that an Agent may have this configuration: from this commit on no SVID is issued to a workload that has it.
 * Those that were buy no token any more, and stay good with others until they end. When the last one is withdrawn the Agent
 * may have none.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `not_found` for what never was approved,
 *   `conflict` for what was withdrawn already, `ledger_unavailable`
 */
export async function withdrawChecksum(
  deps: ChecksumDeps,
  request: ChecksumRequest,
): Promise<Recorded<ChecksumApproval>> {
  const { caller, checksum, context } = request;
  const { agent, approval, trail } = await knownChecksum(deps, request, "checksum.withdraw");
  const id = approvalId(agent.id, checksum);
  if (approval === undefined) throw await refuse(deps, "mutation.refused", trail, id, neverApproved);
  if (approval.status !== "approved") throw await refuse(deps, "mutation.refused", trail, id, withdrawn);
  const ledger = await record(deps, {
    type: "checksum.withdrawn",
    refusedAs: "mutation.refused",
    trail,
    outcome: { detail: { checksum } },
    writes: [{ set: "agent_checksum", id, from: ["approved"], to: "withdrawn" }],
    conditions: callerConditions(caller),
    demands: context.demands,
  });
  return { ...approval, status: "withdrawn", withdrawnAtMs: deps.now(), ledger };
}

const neverApproved = plainRefusal("not_found", "the checksum was never approved");
const withdrawn = plainRefusal("conflict", "the checksum is withdrawn already");
