import type { AgentChecksum } from "@countersign/sdk/model/agent-configuration";
import type { AgentId } from "@countersign/sdk/model/ids";

/** A configuration that an Agent may have, or could have before. */
export interface ChecksumApproval {
  readonly agent: AgentId;
  readonly checksum: AgentChecksum;
  readonly status: "approved" | "withdrawn";
  /** When it was last approved. */
  readonly approvedAtMs: number;
  /** Of one that is withdrawn: when it was. Of those from before this was kept nobody knows. */
  readonly withdrawnAtMs?: number;
}

/** What the approval of a checksum for an Agent is known by. */
export function approvalId(agent: AgentId, checksum: AgentChecksum): string {
  return `${agent}.${checksum}`;
}

/** The Agent of such an id. */
export function agentOfApproval(id: string): string {
  return id.slice(0, id.indexOf("."));
}
