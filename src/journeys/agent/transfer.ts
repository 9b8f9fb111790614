import type { AgentId, OrganizationId, UserId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { type Agent, isOver } from "../../domain/agent.ts";
import type { User } from "../../domain/user.ts";
import { active, callerConditions } from "../record/conditions.ts";
import {
  demandOperator,
  partyInactive,
  type RecordDeps,
  type Recorded,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal, type Refusal } from "../record/refusal.ts";
import {
  type ReceiptDeps,
  type RevocationReceipt,
  receiptOf,
  revocationWrite,
} from "../revocation-receipt.ts";

export interface TransferAgentDeps extends RecordDeps, ReceiptDeps {
  readonly findAgent: (organization: OrganizationId, id: AgentId) => Promise<Agent | undefined>;
  readonly findUser: (organization: OrganizationId, id: UserId) => Promise<User | undefined>;
}

export interface TransferAgentRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly agent: AgentId;
  /** Who answers for it from now on. */
  readonly owner: UserId;
  readonly context: RequestContext;
}

/**
 * Gives an Agent to another owner. One row changes, and with it every delegation to that Agent rests, with all below:
 * whoever gave them trusted it under the owner before, and consents to each again or does not. Tokens that were issued
 * until then are over. An Agent of an offboarded owner can be transferred, a retired or expired one can't.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `not_found`, `conflict` for an owner who has it
 *   already, an Agent that is over, and a transfer that another one came before, `subject_not_active` for an owner who
 *   was offboarded, `ledger_unavailable`
 */
export async function transferAgent(
  deps: TransferAgentDeps,
  { caller, agent: id, owner, context }: TransferAgentRequest,
): Promise<Recorded<Agent> & { readonly receipt: RevocationReceipt }> {
  const { organization } = caller;
  const asked: Trail = { ...trailOf(caller, context), action: "agent.transfer" };
  await demandOperator(deps, "mutation.refused", caller, asked);
  const [agent, user] = await Promise.all([
    deps.findAgent(organization, id),
    deps.findUser(organization, owner),
  ]);
  if (agent === undefined || user === undefined)
    throw await refuse(deps, "mutation.refused", asked, "unknown", noParty);
  const trail: Trail = { ...asked, target: { kind: "agent", id }, owner: agent.owner };
  const unfit = unfitFor(agent, user, deps.now());
  if (unfit !== undefined) throw await refuse(deps, "mutation.refused", trail, id, unfit);
  const revocation = { organization, kind: "agent", id, revokedAtMs: deps.now() } as const;
  const ledger = await record(deps, {
    type: "agent.transferred",
    refusedAs: "mutation.refused",
    trail,
    outcome: { owner, detail: { from: agent.owner, to: owner } },
    writes: [
      { transfer: id, tenure: agent.tenure, to: owner },
      { into: "agent_owner", row: { agent_id: id, organization_id: organization, owner_id: owner } },
      revocationWrite(revocation),
    ],
    conditions: [...callerConditions(caller), active("user", owner)],
    demands: context.demands,
  });
  deps.invalidate(id);
  const receipt = await receiptOf(deps, { ...revocation, index: ledger.index });
  return { ...agent, owner, ownerStatus: "active", tenure: agent.tenure + 1, ledger, receipt };
}

const noParty: Refusal = {
  code: "not_found",
  publicDetail: "there is no such agent or user",
  reason: "agent or user is not there",
};

function unfitFor(agent: Agent, user: User, nowMs: number): Refusal | undefined {
  const conflict = (publicDetail: string) => plainRefusal("conflict", publicDetail);
  if (agent.owner === user.id) return conflict("the agent is that user's already");
  if (agent.status === "retired") return conflict("the agent is retired");
  if (isOver(agent, nowMs)) return conflict("the agent has expired");
  if (user.status === "active") return undefined;
  const reason = `${user.id} is ${user.status}`;
  return { code: "subject_not_active", publicDetail: partyInactive, reason };
}
