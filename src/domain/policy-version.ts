import type { OperatorId, OrganizationId } from "@countersign/sdk/model/ids";

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
}
