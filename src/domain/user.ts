import type { OrganizationId, UserId } from "@countersign/sdk/model/ids";

export type UserStatus = "active" | "offboarded";

/** A person: owns Agents and Resources, grants Delegations. */
export interface User {
  readonly id: UserId;
  readonly organization: OrganizationId;
  readonly name: string;
  readonly email: string | undefined;
  readonly status: UserStatus;
  readonly createdAtMs: number;
}

/** How a User leaves. Nothing leads out of `offboarded`. */
export const offboarding = { from: ["active"], to: "offboarded", entryType: "user.offboarded" } as const;
