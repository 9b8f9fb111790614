import type { AgentChecksum } from "@countersign/sdk/model/agent-configuration";
import type { AgentId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Agent } from "../../domain/agent.ts";
import type { ChecksumApproval } from "../../domain/agent-checksum.ts";
import {
  demandFound,
  demandOperator,
  type RecordDeps,
  type RequestContext,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";

export interface ChecksumDeps extends RecordDeps {
  readonly now: () => number;
  readonly findAgent: (organization: OrganizationId, id: AgentId) => Promise<Agent | undefined>;
  readonly findChecksum: (
    organization: OrganizationId,
    of: Pick<ChecksumApproval, "agent" | "checksum">,
  ) => Promise<ChecksumApproval | undefined>;
}

export interface ChecksumRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly agent: AgentId;
  readonly checksum: AgentChecksum;
  readonly context: RequestContext;
}

/** What is known before an approval is changed. */
export interface KnownChecksum {
  readonly agent: Agent;
  /** Undefined: it never was approved. */
  readonly approval: ChecksumApproval | undefined;
  /** Of what an operator asserts for the Agent's owner. */
  readonly trail: Trail;
}

/**
 * Lets an operator pass, and reads what it is about.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `not_found` for an Agent that is not there
 */
export async function knownChecksum(
  deps: ChecksumDeps,
  { caller, agent: id, checksum, context }: ChecksumRequest,
  action: string,
): Promise<KnownChecksum> {
  const { organization } = caller;
  const asked: Trail = { ...trailOf(caller, context), action };
  const operator = await demandOperator(deps, "mutation.refused", caller, asked);
  const asserted: Trail = { ...asked, asserted_by: operator.id };
  const [found, approval] = await Promise.all([
    deps.findAgent(organization, id),
    deps.findChecksum(organization, { agent: id, checksum }),
  ]);
  const agent = await demandFound(deps, asserted, found, noAgent);
  return { agent, approval, trail: { ...asserted, target: { kind: "agent", id }, owner: agent.owner } };
}

const noAgent = plainRefusal("not_found", "there is no such agent");
