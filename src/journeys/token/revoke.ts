import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import type { OrganizationId, TokenId } from "@countersign/sdk/model/ids";
import { type Principal, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { Revocation } from "../../domain/revocation.ts";
import { callerConditions } from "../record/conditions.ts";
import {
  demandOperator,
  type Happening,
  type RecordDeps,
  type RequestContext,
  record,
  refuse,
  type Trail,
  trailOf,
} from "../record/record.ts";
import {
  type ReceiptDeps,
  type RevocationReceipt,
  receiptOf,
  revocationWrite,
} from "../revocation-receipt.ts";
import { tokenLifetimeSeconds } from "./prepared-token.ts";

export interface RevokeTokenDeps extends RecordDeps {
  readonly trustDomain: TrustDomain;
  readonly now: () => number;
  readonly isTokenRevoked: (organization: OrganizationId, jti: string) => Promise<boolean>;
  /** The claims of an access token whose signature, `typ`, `iss` and `exp` hold; undefined for anything else. */
  readonly verifyAccessToken: (token: string) => Promise<AccessTokenClaims | undefined>;
}

export interface RevokeTokenRequest {
  /** Authenticated. */
  readonly caller: Principal;
  readonly token: string;
  readonly context: RequestContext;
}

/**
 * Revokes an access token at the wish of the client it was issued to. A token that is not valid anyway, or is revoked
 * already, needs nothing done.
 *
 * @throws DomainError `invalid_request` when it is another client's, `subject_not_active`, `ledger_unavailable`
 * @see RFC 7009, sections 2.1 and 2.2
 */
export async function revokeToken(
  deps: RevokeTokenDeps,
  { caller, token, context }: RevokeTokenRequest,
): Promise<void> {
  const claims = await deps.verifyAccessToken(token);
  if (claims === undefined) return;
  const trail: Trail = { ...trailOf(caller, context), action: "token.revoke", jti: claims.jti };
  if (claims.client_id !== spiffeIdOf(deps.trustDomain, caller)) {
    const publicDetail = "a token is revoked by the client that it was issued to";
    const reason = "presented by another client";
    throw await refuse(deps, "mutation.refused", trail, "token", {
      code: "invalid_request",
      publicDetail,
      reason,
    });
  }
  if (await deps.isTokenRevoked(caller.organization, claims.jti)) return;
  await recordRevocation(deps, caller, {
    jti: claims.jti,
    expiresAtMs: claims.exp * 1000,
    trail: { ...trail, txn: claims.txn },
    demands: context.demands,
  });
}

export type RevokeTokenByIdDeps = RecordDeps & ReceiptDeps;

export interface RevokeTokenByIdRequest {
  /** An operator. */
  readonly caller: Principal;
  readonly token: TokenId;
  readonly context: RequestContext;
}

/**
 * Revokes an access token by its `jti`, for whoever does not hold the token. Whether there is such a token is not
 * looked up: the revocation stands until any token of today would have expired. The receipt counts what was redeemed
 * with it.
 *
 * @throws DomainError `not_authorized` for a caller who is no operator, `subject_not_active`, `ledger_unavailable`
 */
export async function revokeTokenById(
  deps: RevokeTokenByIdDeps,
  { caller, token, context }: RevokeTokenByIdRequest,
): Promise<RevocationReceipt> {
  const trail: Trail = { ...trailOf(caller, context), action: "token.revoke", jti: token };
  await demandOperator(deps, "mutation.refused", caller, trail);
  const expiresAtMs = deps.now() + 2 * tokenLifetimeSeconds * 1000;
  const revoked = { jti: token, expiresAtMs, trail, demands: context.demands };
  return receiptOf(deps, await recordRevocation(deps, caller, revoked));
}

interface RevokedToken extends Pick<Happening, "trail" | "demands"> {
  readonly jti: string;
  readonly expiresAtMs: number;
}

async function recordRevocation(
  deps: Pick<RevokeTokenDeps, keyof RecordDeps | "now">,
  caller: Principal,
  { jti, expiresAtMs, trail, demands }: RevokedToken,
): Promise<Revocation> {
  const { organization } = caller;
  const nowMs = deps.now();
  const revocation = { organization, kind: "token", id: jti, revokedAtMs: nowMs } as const;
  const row = {
    jti,
    organization_id: organization,
    expires_at: new Date(expiresAtMs),
    created_at: new Date(nowMs),
  };
  const { index } = await record(deps, {
    type: "token.revoked",
    refusedAs: "mutation.refused",
    trail,
    writes: [{ into: "revoked_token", row }, revocationWrite(revocation)],
    conditions: callerConditions(caller),
    demands,
  });
  return { ...revocation, index };
}
