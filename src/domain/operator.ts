import type { OperatorId, OrganizationId } from "@countersign/sdk/model/ids";

export type OperatorStatus = "active" | "retired";

/** A named principal that administers its organization. */
export interface Operator {
  readonly id: OperatorId;
  readonly organization: OrganizationId;
  readonly name: string;
  readonly status: OperatorStatus;
  readonly createdAtMs: number;
}
