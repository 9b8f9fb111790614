import type { AgentId, OrganizationId, UserId } from "@countersign/sdk/model/ids";

export type AgentKind = "manager" | "worker" | "tool";
export type AgentStatus = "active" | "suspended" | "retired";

/** A non-human principal with exactly one owner. */
export interface Agent {
  readonly id: AgentId;
  readonly organization: OrganizationId;
  readonly owner: UserId;
  readonly name: string;
  readonly kind: AgentKind;
  readonly status: AgentStatus;
  readonly createdAtMs: number;
}

/** What can be done to an Agent's status, from where, and the entry that tells of it. Nothing leads out of `retired`. */
export const agentTransitions = {
  suspend: { from: ["active"], to: "suspended", entryType: "agent.suspended" },
  resume: { from: ["suspended"], to: "active", entryType: "agent.resumed" },
  retire: { from: ["active", "suspended"], to: "retired", entryType: "agent.retired" },
} as const;
