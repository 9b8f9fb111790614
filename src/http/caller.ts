import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import type { Scope } from "@countersign/sdk/model/scope";
import { type Principal, principalOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import {
  type AuthenticateRequestDeps,
  authenticateRequest,
} from "@countersign/sdk/verify/authenticate-request";
import type { Request } from "express";
import { DomainError } from "../domain/domain-error.ts";

export interface CallerDeps extends AuthenticateRequestDeps {
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  /** Whether the token is still good: neither it nor anyone in it was revoked. */
  isLive(claims: AccessTokenClaims): Promise<boolean>;
}

/** The scopes of the issuer's own API. */
export type ApiScope = "admin" | "audit" | "delegate";

/** Who calls the API, proven. */
export interface Caller {
  readonly principal: Principal;
  /** What its access token allows. */
  readonly scope: Scope;
  /** The transaction that its token belongs to. */
  readonly txn: string;
}

/**
 * Authenticates the caller of the issuer's own API by access token and DPoP proof, and demands one of the scopes. The
 * token is verified as any stranger would, and then held against the present state.
 *
 * @throws VerificationError; DomainError `invalid_token` or `insufficient_scope`.
 */
export async function authenticateCaller(
  deps: CallerDeps,
  request: Request,
  anyOf: readonly ApiScope[],
): Promise<Caller> {
  const verified = await authenticateRequest(
    deps,
    {
      method: request.method,
      // Never from the Host header, which the sender chooses.
      url: `${deps.issuer}${request.originalUrl}`,
      authorization: request.headers.authorization,
      dpop: headerOf(request, "dpop"),
    },
    { issuer: deps.issuer, audience: `${deps.issuer}/v1` },
  );
  const principal = principalOf(deps.trustDomain, verified.claims.client_id);
  if (principal === undefined || !(await deps.isLive(verified.claims))) {
    throw new DomainError("invalid_token", "the access token is no longer good");
  }
  demandScope(verified.scope, anyOf);
  return { principal, scope: verified.scope, txn: verified.claims.txn };
}

/** @throws DomainError `insufficient_scope` unless the token has one of the scopes. */
export function demandScope(scope: Scope, anyOf: readonly ApiScope[]): void {
  if (!anyOf.some((wanted) => scope.includes(wanted))) {
    throw new DomainError("insufficient_scope", `this needs an access token of scope ${anyOf.join(" or ")}`);
  }
}

function headerOf(request: Request, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}
