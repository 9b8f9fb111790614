import type { AgentId, OrganizationId, UserId } from "@countersign/sdk/model/ids";
import type { UserStatus } from "./user.ts";

export type AgentKind = "manager" | "worker" | "tool";
export type AgentStatus = "active" | "suspended" | "retired";

/** A non-human principal with exactly one owner. */
export interface Agent {
  readonly id: AgentId;
  readonly organization: OrganizationId;
  readonly owner: UserId;
  readonly ownerStatus: UserStatus;
  /** Which of its owners this one is, from 1 on: each transfer begins the next tenure. */
  readonly tenure: number;
  readonly name: string;
  readonly kind: AgentKind;
  /** Its own mark only: the agent of an offboarded owner still says `active`, and so may one that has expired. */
  readonly status: AgentStatus;
  /** From then on it is not active; undefined for one that does not expire. */
  readonly expiresAtMs: number | undefined;
  readonly createdAtMs: number;
}

/** The roles that policy sees in an Agent of this kind. */
export function rolesOf(kind: AgentKind): readonly string[] {
  return ["agent", `kind:${kind}`];
}

/** What can be done to an Agent's status, from where, and the entry that tells of it. Nothing leads out of `retired`. */
export const agentTransitions = {
  suspend: { from: ["active"], to: "suspended", entryType: "agent.suspended" },
  resume: { from: ["suspended"], to: "active", entryType: "agent.resumed" },
  retire: { from: ["active", "suspended"], to: "retired", entryType: "agent.retired" },
} as const;

/** What an Agent's own mark comes to: `inactive` is one that is marked active, while its time or its owner's is over. */
export type AgentStanding = AgentStatus | "inactive";

/** How an Agent stands now, and why where it is inactive. */
export function standingOf(
  agent: Agent,
  nowMs: number,
): { readonly standing: AgentStanding; readonly reason?: string } {
  if (agent.status !== "active") return { standing: agent.status };
  const reason = agentFault(agent, { id: agent.owner, status: agent.ownerStatus }, nowMs);
  return reason === undefined ? { standing: "active" } : { standing: "inactive", reason };
}

/** Why an Agent can't act now, in words for the ledger; undefined for one that can. */
export function agentFault(
  agent: Pick<Agent, "id" | "status" | "expiresAtMs">,
  owner: { readonly id: UserId; readonly status: UserStatus },
  nowMs: number,
): string | undefined {
  if (agent.status !== "active") return `${agent.id} is ${agent.status}`;
  if (isOver(agent, nowMs)) return `${agent.id} has expired`;
  return owner.status === "active" ? undefined : `${owner.id} is ${owner.status}`;
}

/** Whether the time of something that may expire is over. */
export function isOver(
  { expiresAtMs }: { readonly expiresAtMs?: number | undefined },
  nowMs: number,
): boolean {
  return expiresAtMs !== undefined && expiresAtMs <= nowMs;
}

/** Which Agents of an organization are wanted; what is undefined does not matter. */
export interface AgentFilter {
  readonly owner?: UserId | undefined;
  readonly kind?: AgentKind | undefined;
  readonly standing?: { readonly is: AgentStanding; readonly atMs: number } | undefined;
}

/** What the registry knows of an Agent beside the Agent itself. */
export interface AgentRecord {
  /** RFC 7638 thumbprints of the keys that speak for it now. */
  readonly thumbprints: readonly string[];
  /** When it was last suspended, retired or transferred, in milliseconds since the epoch; undefined: it never was. */
  readonly stoppedAtMs: number | undefined;
  /** Delegations that it holds and that it gave, without those that are revoked or over themselves. */
  readonly held: number;
  readonly given: number;
}

/** Some of what an Agent did, newest first. */
export interface AgentHistory {
  /** Entries as JSON, the octets that were hashed. */
  readonly entries: readonly { readonly index: number; readonly entry: string }[];
  /** Complete up to this index of the log and without it: later entries are not among them yet. */
  readonly asOf: number;
}
