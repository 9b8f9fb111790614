import type { CredentialId, UserId } from "@countersign/sdk/model/ids";
import type { Principal } from "@countersign/sdk/model/spiffe-id";
import { type AgentKind, isOver } from "./agent.ts";
import type { UserStatus } from "./user.ts";

/** The public half of a key that speaks for a client. */
export interface ClientCredential {
  readonly id: CredentialId;
  readonly thumbprint: string;
  /** As JSON. */
  readonly publicJwk: string;
}

/** How a client proves to the issuer who it is. */
export type ClientAuthMethod = "private_key_jwt" | "self_signed_tls_client_auth" | "client_secret_basic";

/** How a client may authenticate and ask, as an operator set it. */
export interface ClientProfile {
  /** Compared octet by octet. */
  readonly redirectUris: readonly string[];
  readonly authMethod: ClientAuthMethod;
  /** Whether each of its DPoP proofs must bear a nonce of ours. */
  readonly dpopNonceRequired: boolean;
  /** Whether it is let in by what older clients need: `client_secret_basic`, the token endpoint as `aud`. */
  readonly compat: boolean;
  /** Salt and hash of its secret; undefined unless it has one. */
  readonly secretVerifier: string | undefined;
}

/** What holds for a client of which no operator said otherwise. */
export const strictProfile: ClientProfile = {
  redirectUris: [],
  authMethod: "private_key_jwt",
  dpopNonceRequired: false,
  compat: false,
  secretVerifier: undefined,
};

/** A principal as the issuer meets it: who it is, whether it is active, the keys that speak for it, and how it may authenticate. */
export interface Client {
  readonly principal: Principal;
  readonly status: "active" | "suspended" | "retired";
  /** An Agent's; no other principal expires. */
  readonly expiresAtMs?: number | undefined;
  /** An Agent's. */
  readonly kind?: AgentKind;
  /** An Agent's; no other principal is transferred. */
  readonly tenure?: number;
  /** The User who answers for it; undefined for an Operator, and for a Resource that has none. */
  readonly owner: { readonly id: UserId; readonly status: UserStatus } | undefined;
  /** The roles that policy sees: its kind of principal, and `kind:<kind>` of an Agent. */
  readonly roles: readonly string[];
  /** Active ones only. */
  readonly credentials: readonly ClientCredential[];
  readonly profile: ClientProfile;
  /** The index of the entry that its profile was set by; absent where it never was. */
  readonly profileIndex?: number;
}

/** Whether the client itself and the User who answers for it are active now. */
export function isLiveClient(client: Client, nowMs: number): boolean {
  const { status, owner } = client;
  return status === "active" && !isOver(client, nowMs) && (owner === undefined || owner.status === "active");
}
