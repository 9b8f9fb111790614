import type { IncomingMessage } from "node:http";
import { type SpiffeId, spiffeIdOf } from "@countersign/sdk/model/spiffe-id";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { errors } from "oidc-provider";
import { DomainError, UsedBefore } from "../domain/domain-error.ts";
import type { Demands } from "../journeys/record/append-demanded.ts";
import type { AssertionProof, NewSubjectProof } from "../journeys/record/proof.ts";
import type { AssertedPerson } from "../journeys/trust/assert-person.ts";
import { KeysUnreachable } from "../journeys/trust/issuer-keys.ts";
import { AssertionFailure } from "./assertion-failure.ts";
import type { IssuerDeps } from "./issuer-deps.ts";
import { requestIdOf } from "./request-id.ts";
import { oauthErrorOf, orOAuthError } from "./to-oauth-error.ts";

/** An assertion in the place of an authorization grant. @see RFC 7523, section 2.1 */
export const jwtBearerGrantType = "urn:ietf:params:oauth:grant-type:jwt-bearer";

const jwtBearerAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/** By what a trusted issuer's assertion is known, and what rests on it. */
export interface TrustedAssertion {
  readonly spiffeId: SpiffeId;
  readonly assertion: {
    readonly hash: string;
    readonly expiresAt: Date;
    /** Thumbprint of the key whose holder alone it is for, where it says so. */
    readonly boundTo: string | undefined;
  };
  readonly proof: AssertionProof | NewSubjectProof;
  /** What uses it up where it was sent as the grant itself, which it is once only. */
  readonly grantedOnce?: string;
}

type TrustedAssertionDeps = Pick<IssuerDeps, "assertIdentity" | "isUnavailable" | "trustDomain">;

/**
 * The assertion of a trusted issuer that a token request came with, in whose words the sender is an agent: as the grant, which
 * then is all the authentication there is, or as the client assertion of another grant.
 *
 * @returns undefined for a request without one
 * @throws errors.OIDCProviderError `invalid_grant` or `invalid_client` for one that is not accepted, of which the sender is not
 *   told who is trusted here; `temporarily_unavailable` when its issuer's keys can't be had
 * @see RFC 7521, sections 4.1 and 4.2; RFC 7523, section 3
 */
export async function trustedAssertionOf(
  deps: TrustedAssertionDeps,
  req: IncomingMessage,
  parameters: URLSearchParams,
): Promise<TrustedAssertion | undefined> {
  // Of a person's, the client has to be known by something else.
  const isGrant =
    parameters.getAll("grant_type").includes(jwtBearerGrantType) &&
    !isOfPerson(parameters.getAll("assertion"));
  const sent = isGrant ? grantAssertionOf(req, parameters) : clientAssertionOf(parameters);
  if (sent === undefined) return undefined;
  if (!isGrant && req.headers.authorization !== undefined)
    throw new errors.InvalidRequest("client authentication must be by one assertion, and nothing besides");
  if (req.headers["dpop"] === undefined)
    throw new errors.InvalidDpopProof(
      "what this assertion is good for is bound to a key: send a DPoP proof with it",
    );
  const context = { requestId: requestIdOf(req) };
  const asserted = await orNotTrusted(deps, deps.assertIdentity({ assertion: sent, context }), isGrant);
  const { agent, hash, boundTo, expiresAt, proof, once } = asserted;
  return {
    spiffeId: spiffeIdOf(deps.trustDomain, agent),
    assertion: { hash, boundTo, expiresAt },
    proof,
    ...(isGrant && { grantedOnce: once }),
  };
}

/** Whether an assertion says of itself that it is of a person (an ID-JAG), and so is no client's authentication. */
function isOfPerson([assertion, ...more]: readonly string[]): boolean {
  if (assertion === undefined || more.length > 0) return false;
  try {
    return decodeProtectedHeader(assertion).typ?.toLowerCase() === "oauth-id-jag+jwt";
  } catch {
    // No JWT at all, and so not this one.
    return false;
  }
}

function grantAssertionOf(req: IncomingMessage, parameters: URLSearchParams): string {
  const [assertion, ...more] = parameters.getAll("assertion");
  if (parameters.getAll("grant_type").length > 1 || more.length > 0)
    throw new errors.InvalidRequest("grant_type and assertion are sent once");
  if (parameters.has("client_assertion") || req.headers.authorization !== undefined)
    throw new errors.InvalidRequest("the assertion is the authentication: send no other");
  if (!assertion) throw new errors.InvalidRequest("missing required parameter 'assertion'");
  return assertion;
}

/** A client assertion that somebody else made: a client's own names itself as its issuer, by its SPIFFE ID. */
function clientAssertionOf(parameters: URLSearchParams): string | undefined {
  const [assertion, ...more] = parameters.getAll("client_assertion");
  const [type, ...types] = parameters.getAll("client_assertion_type");
  if (assertion === undefined || more.length > 0 || type !== jwtBearerAssertionType || types.length > 0)
    return undefined;
  return isOfAnother(assertion) ? assertion : undefined;
}

function isOfAnother(assertion: string): boolean {
  try {
    const { iss, sub } = decodeJwt(assertion);
    return typeof iss === "string" && /^https?:/.test(iss) && iss !== sub;
  } catch {
    // No JWT at all: the library says so.
    return false;
  }
}

/**
 * What an assertion was found to be, or the error that its sender is told.
 *
 * @throws errors.OIDCProviderError as `trustedAssertionOf` does
 */
export async function orNotTrusted<Asserted>(
  deps: Pick<IssuerDeps, "isUnavailable">,
  asserted: Promise<Asserted>,
  isGrant: boolean,
): Promise<Asserted> {
  try {
    return await asserted;
  } catch (error) {
    if (error instanceof VerificationError) throw refusalOf(isGrant, new AssertionFailure(error.code, error));
    if (error instanceof KeysUnreachable)
      throw oauthErrorOf(
        503,
        "temporarily_unavailable",
        "the keys of the assertion's issuer can't be read now",
        error,
      );
    if (error instanceof DomainError && error.code === "not_attested")
      throw oauthErrorOf(
        isGrant ? 400 : 401,
        isGrant ? "invalid_grant" : "invalid_client",
        error.publicDetail,
        error,
      );
    return orOAuthError(deps, Promise.reject(error));
  }
}

/**
 * Does what an assertion is a grant for, in the commit that uses it up: where that fails, the assertion is as good as before.
 *
 * @param assertion `once` is what it is known by among those of its issuer
 * @throws errors.OIDCProviderError `invalid_grant` for one that was used; what `perform` throws; `temporarily_unavailable`
 */
export async function usingUp<Answer>(
  deps: Pick<IssuerDeps, "isUnavailable" | "useUp">,
  { trustedIssuer, once, expiresAt }: Pick<AssertedPerson, "trustedIssuer" | "once" | "expiresAt">,
  perform: (demands: Demands) => Promise<Answer>,
): Promise<Answer> {
  const used = { client: trustedIssuer, kind: "trusted_assertion", value: once } as const;
  try {
    return await perform(await deps.useUp(used, expiresAt));
  } catch (error) {
    if (error instanceof UsedBefore) throw refusalOf(true, new AssertionFailure("replayed", error));
    return orOAuthError(deps, Promise.reject(error));
  }
}

/** Says nothing of which check failed: whom we trust is not for everybody to find out. The log and the ledger have it. */
export function refusalOf(isGrant: boolean, failure: AssertionFailure): errors.OIDCProviderError {
  const description =
    failure.reason === "assertion_replayed"
      ? "the assertion was used before"
      : "the assertion is not one that is trusted here: its issuer, tenant, key, algorithm, type, aud, iat, exp or sub is not right";
  return oauthErrorOf(
    isGrant ? 400 : 401,
    isGrant ? "invalid_grant" : "invalid_client",
    description,
    failure,
  );
}
