import {
  type AgentChecksum,
  type AgentConfiguration,
  agentChecksum,
} from "@countersign/sdk/model/agent-configuration";
import type { AgentId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { Agent } from "../../domain/agent.ts";
import { sha256 } from "../../ledger/sha256.ts";
import { callerConditions } from "../record/conditions.ts";
import {
  demandFound,
  type RecordDeps,
  type Recorded,
  type RequestContext,
  record,
  type Trail,
  trailOf,
} from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";

export interface DeclareConfigurationDeps extends RecordDeps {
  readonly findAgent: (organization: OrganizationId, id: AgentId) => Promise<Agent | undefined>;
}

export interface DeclareConfigurationRequest {
  /** The Agent itself. */
  readonly caller: Principal;
  readonly agent: AgentId;
  readonly configuration: AgentConfiguration;
  readonly context: RequestContext;
}

/** What an Agent says that it is. */
export interface DeclaredConfiguration {
  readonly agent: AgentId;
  readonly checksum: AgentChecksum;
}

/**
 * Records what an Agent says of its configuration, by its checksum alone. It opens and closes nothing: whoever is not
 * what it says can say it too.
 *
 * @throws DomainError `not_found` for another's, `subject_not_active`, `ledger_unavailable`
 */
export async function declareConfiguration(
  deps: DeclareConfigurationDeps,
  { caller, agent: id, configuration, context }: DeclareConfigurationRequest,
): Promise<Recorded<DeclaredConfiguration>> {
  const asked: Trail = { ...trailOf(caller, context), action: "agent.configure" };
  const isOwn = caller.kind === "agent" && caller.id === id;
  const found = isOwn ? await deps.findAgent(caller.organization, id) : undefined;
  const agent = await demandFound(deps, asked, found, notItself);
  const checksum = agentChecksum(configuration, sha256);
  const ledger = await record(deps, {
    type: "agent.configured",
    refusedAs: "mutation.refused",
    trail: { ...asked, attestation: "declared", owner: agent.owner },
    outcome: { detail: { checksum } },
    writes: [],
    conditions: callerConditions(caller),
    demands: context.demands,
  });
  return { agent: id, checksum, ledger };
}

const notItself = plainRefusal("not_found", "there is no such agent, or it is not the caller");
