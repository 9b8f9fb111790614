import type { CredentialId, UserId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import type { UserStatus } from "./user.ts";

/** The public half of a key that speaks for a client. */
export interface ClientCredential {
  readonly id: CredentialId;
  readonly thumbprint: string;
  /** As JSON. */
  readonly publicJwk: string;
}

/** A principal as the issuer meets it: who it is, whether it is active, and the keys that speak for it. */
export interface Client {
  readonly principal: Principal;
  readonly status: "active" | "suspended" | "retired";
  /** The User who answers for it; undefined for an Operator, and for a Resource that has none. */
  readonly owner: { readonly id: UserId; readonly status: UserStatus } | undefined;
  /** The roles that policy sees: its kind of principal, and `kind:<kind>` of an Agent. */
  readonly roles: readonly string[];
  /** Active ones only. */
  readonly credentials: readonly ClientCredential[];
}

/** Whether the client itself and the User who answers for it are active. */
export function isLiveClient({ status, owner }: Client): boolean {
  return status === "active" && (owner === undefined || owner.status === "active");
}
