import { hash, type X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { AccessTokenClaims } from "@countersign/sdk/contract/access-token";
import type { ApiScope } from "@countersign/sdk/contract/operation";
import type { ErrorCode } from "@countersign/sdk/model/error-codes";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import type { Scope } from "@countersign/sdk/model/scope";
import { type Principal, principalOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import {
  type AuthenticateRequestDeps,
  authenticateHolder,
  authenticateRequest,
  type PresentedRequest,
} from "@countersign/sdk/verify/authenticate-request";
import type { ProofNonces } from "@countersign/sdk/verify/verify-dpop-proof";
import type { Request } from "express";
import type { Client } from "../domain/client.ts";
import { DomainError } from "../domain/domain-error.ts";
import type { RequestContext } from "../journeys/record/record.ts";
import { requestIdOf } from "./request-id.ts";

export interface CallerDeps extends Omit<AuthenticateRequestDeps, "needsNonce"> {
  readonly issuer: string;
  readonly trustDomain: TrustDomain;
  /** Whose operators run the installation: the organization that the first start made. */
  readonly runBy: OrganizationId;
  /** Whether the token is still good: neither it nor anyone in it was revoked. */
  isLive(claims: AccessTokenClaims): Promise<boolean>;
  /** May be a cached read. */
  findClient(principal: Principal): Promise<Client | undefined>;
  /** The nonces of DPoP proofs: each answer to one hands out the next. */
  readonly nonces: ProofNonces & { next(): string };
  /** The certificate whose key the sender proved to hold. */
  certificateOf(request: IncomingMessage): X509Certificate | undefined;
  /** The origin under which the request was sent; never from its Host header, which the sender chooses. */
  originAsked(request: IncomingMessage): string;
}

/** Who calls the API, proven, and in which request. */
export interface Authenticated {
  readonly caller: Principal;
  /** What the caller's access token allows. */
  readonly scope: Scope;
  /** Of that token. */
  readonly claims: AccessTokenClaims;
  readonly context: RequestContext;
}

/** A refusal of somebody known before any journey began: it is recorded before it is answered. */
export class RefusedRequest extends DomainError {
  readonly authenticated: Authenticated;

  constructor(authenticated: Authenticated, code: ErrorCode, publicDetail: string) {
    super(code, publicDetail);
    this.authenticated = authenticated;
  }
}

/**
 * Authenticates the caller of the issuer's own API by access token and DPoP proof or certificate, and demands one of the
 * scopes. The token is verified as any stranger would, and then held against the present state.
 *
 * @throws VerificationError; DomainError `invalid_token`; RefusedRequest `insufficient_scope`
 */
export async function authenticateCaller(
  deps: CallerDeps,
  request: Request,
  anyOf: readonly ApiScope[],
): Promise<Authenticated> {
  const expected = { issuer: deps.issuer, audience: `${deps.issuer}/v1` };
  const { claims, scope } = await authenticateRequest(withNonces(deps), presentedBy(deps, request), expected);
  const caller = principalOf(deps.trustDomain, claims.client_id);
  if (caller === undefined || !(await deps.isLive(claims))) throw noLongerGood();
  const context = { requestId: requestIdOf(request.headers), txn: claims.txn };
  const authenticated = { caller, scope, claims, context };
  demandScope(authenticated, anyOf);
  return authenticated;
}

/** Who presents an access token, proven to hold its key, and what the token says. No leave to do anything. */
export interface Presented {
  readonly caller: Principal;
  readonly claims: AccessTokenClaims;
  readonly accessToken: string;
  readonly context: RequestContext;
}

/**
 * Verifies an access token of this issuer, for whichever audience, and that the caller holds its key. Whether it still
 * carries authority is for the journey to find out.
 *
 * @throws VerificationError; DomainError `invalid_token`
 */
export async function authenticatePresenter(deps: CallerDeps, request: Request): Promise<Presented> {
  const { claims, accessToken } = await authenticateHolder(
    withNonces(deps),
    presentedBy(deps, request),
    deps,
  );
  const caller = principalOf(deps.trustDomain, claims.client_id);
  if (caller === undefined) throw noLongerGood();
  const context = { requestId: requestIdOf(request.headers), txn: claims.txn };
  return { caller, claims, accessToken, context };
}

function presentedBy(deps: CallerDeps, request: Request): PresentedRequest {
  const certificate = deps.certificateOf(request);
  return {
    method: request.method,
    url: `${deps.originAsked(request)}${request.originalUrl}`,
    authorization: request.headers.authorization,
    dpop: headerOf(request, "dpop"),
    certificate: certificate && hash("sha256", certificate.raw, "base64url"),
  };
}

function noLongerGood(): DomainError {
  return new DomainError("invalid_token", "the access token is no longer good");
}

function withNonces(deps: CallerDeps): AuthenticateRequestDeps {
  return { ...deps, needsNonce: (claims) => needsNonce(deps, claims) };
}

async function needsNonce(deps: CallerDeps, { client_id }: AccessTokenClaims): Promise<boolean> {
  const principal = principalOf(deps.trustDomain, client_id);
  const client = principal && (await deps.findClient(principal));
  return client?.profile.dpopNonceRequired ?? false;
}

/** @throws RefusedRequest `insufficient_scope` unless the token has one of the scopes. */
export function demandScope(authenticated: Authenticated, anyOf: readonly ApiScope[]): void {
  if (!anyOf.some((wanted) => authenticated.scope.includes(wanted))) {
    const publicDetail = `this needs an access token of scope ${anyOf.join(" or ")}`;
    throw new RefusedRequest(authenticated, "insufficient_scope", publicDetail);
  }
}

/** Whether a caller may have to do with what is every organization's: the log `system`, the keys of all. */
export function runsInstallation({ runBy }: Pick<CallerDeps, "runBy">, caller: Principal): boolean {
  return caller.kind === "operator" && caller.organization === runBy;
}

/** @throws RefusedRequest `not_authorized` for everybody else. */
export function demandInstallation(deps: Pick<CallerDeps, "runBy">, authenticated: Authenticated): void {
  if (runsInstallation(deps, authenticated.caller)) return;
  const detail = "only an operator who runs the installation may do this";
  throw new RefusedRequest(authenticated, "not_authorized", detail);
}

function headerOf(request: Request, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}
