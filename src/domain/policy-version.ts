import type { OperatorId, OrganizationId, ProposalId } from "@countersign/sdk/model/ids";

/** A version of an organization's policy, as it came into force. */
export interface AppliedPolicy {
  readonly organization: OrganizationId;
  /** 1 is the organization's first; each that comes into force is the next. */
  readonly number: number;
  /** base64url SHA-256 of the canonical text. */
  readonly hash: string;
  /** The lines as they were applied; undefined for a version from before these were kept. */
  readonly source: string | undefined;
  /** Undefined: the installation, which applied what it was shipped with. */
  readonly appliedBy: OperatorId | undefined;
  /** What they signed of it, compact. */
  readonly signature: string | undefined;
  readonly appliedAtMs: number;
  /** Whether what follows it needs two operators. */
  readonly twoPerson: boolean;
  /** The second operator, and what they signed; undefined where one sufficed. */
  readonly approval: { readonly by: OperatorId; readonly signature: string } | undefined;
}

/** A policy that an operator signed as the next version, and that waits for a second one. */
export interface PolicyProposal {
  readonly id: ProposalId;
  readonly organization: OrganizationId;
  /** The version that it would be. */
  readonly number: number;
  /** Its hash, and that of the version in force when it was proposed. */
  readonly hash: string;
  readonly previous: string;
  readonly source: string;
  readonly proposedBy: OperatorId;
  readonly signature: string;
  readonly proposedAtMs: number;
  readonly status: "open" | "approved" | "withdrawn";
}

/** What has become of a proposal. */
export type ProposalStanding = PolicyProposal["status"] | "over";

const openForMs = 7 * 24 * 60 * 60_000;

/** A proposal is over a week after it was made, and when another version came into force. */
export function standingOf(
  { number, status, proposedAtMs }: PolicyProposal,
  currentNumber: number,
  nowMs: number,
): ProposalStanding {
  const isOver = currentNumber >= number || nowMs >= proposedAtMs + openForMs;
  return status === "open" && isOver ? "over" : status;
}
