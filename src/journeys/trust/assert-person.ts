import { hash } from "node:crypto";
import type { OrganizationId, SubjectMappingId, TrustedIssuerId, UserId } from "@countersign/sdk/model/ids";
import { parseScope, type Scope } from "@countersign/sdk/model/scope";
import { type Principal, spiffeIdOf, type TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import type { JWTPayload } from "jose";
import type { SubjectMapping, TrustedIssuer } from "../../domain/trusted-issuer.ts";
import { type RecordDeps, type RequestContext, refuse, type Trail, trailOf } from "../record/record.ts";
import { plainRefusal } from "../record/refusal.ts";
import { type VerifyAssertionDeps, verifyAssertion } from "./verify-assertion.ts";

export interface AssertPersonDeps extends VerifyAssertionDeps, Pick<RecordDeps, "recordRefusal"> {
  readonly trustDomain: TrustDomain;
  readonly listMappingsOf: (
    trust: Pick<TrustedIssuer, "id" | "organization">,
    subject: string,
  ) => Promise<readonly SubjectMapping[]>;
}

export interface AssertPersonRequest {
  /** Authenticated, by something else than the assertion. */
  readonly client: Principal;
  /** As received. */
  readonly assertion: string;
  readonly context: RequestContext;
}

/** The User whom an identity provider vouches for, and what it lets the client ask for on behalf of them. */
export interface AssertedPerson {
  readonly organization: OrganizationId;
  readonly user: UserId;
  readonly trustedIssuer: TrustedIssuerId;
  readonly mapping: SubjectMappingId;
  /** RFC 7638 thumbprint of the key whose holder alone it is for, where it says so. */
  readonly boundTo: string | undefined;
  /** The Resources that it is for, as it names them; undefined: it names none. */
  readonly resources: readonly string[] | undefined;
  /** Undefined: it does not say. */
  readonly scope: Scope | undefined;
  /** RFC 9396 objects as they were signed. */
  readonly authorizationDetails: unknown;
  /** Its `jti`. */
  readonly once: string;
  /** SHA-256 of its `jti`, base64url: what the ledger says of it. */
  readonly jtiHash: string;
  /** When it is no longer accepted. */
  readonly expiresAt: Date;
}

/**
 * Tells which User an identity assertion (ID-JAG) is of: one that an identity provider which the client's organization trusts
 * made for this client. A subject is a User by an explicit mapping, and otherwise nobody: people are never made of subjects.
 *
 * @throws VerificationError for what is no such assertion, or another client's; KeysUnreachable; DomainError `not_attested` for
 *   a subject that is mapped to no User, which is recorded; `ledger_unavailable`
 * @see draft-ietf-oauth-identity-assertion-authz-grant, sections 3 and 4.4
 */
export async function assertPerson(
  deps: AssertPersonDeps,
  { client, assertion, context }: AssertPersonRequest,
): Promise<AssertedPerson> {
  const { organization } = client;
  const expected = { kind: "id_jag", organization } as const;
  const { trust, subject, claims, boundTo, expiresAt } = await verifyAssertion(deps, assertion, expected);
  if (claims["client_id"] !== spiffeIdOf(deps.trustDomain, client))
    throw new VerificationError("claims_invalid", "client_id is not that of the client that authenticated");
  const bounds = boundsIn(claims);
  const mapped = (await deps.listMappingsOf(trust, subject)).find((mapping) => mapping.subject === subject);
  if (mapped === undefined || !("user" in mapped.to)) {
    const trail: Trail = { ...trailOf(client, context), action: "identity.assert" };
    throw await refuse(deps, "token.refused", trail, trust.id, unmapped);
  }
  const once = claims.jti ?? "";
  const jtiHash = hash("sha256", once, "base64url");
  const { user } = mapped.to;
  return {
    organization,
    user,
    trustedIssuer: trust.id,
    mapping: mapped.id,
    boundTo,
    ...bounds,
    once,
    jtiHash,
    expiresAt,
  };
}

function boundsIn(claims: JWTPayload): Pick<AssertedPerson, "resources" | "scope" | "authorizationDetails"> {
  const { resource, scope: scopeText, authorization_details: authorizationDetails } = claims;
  const resources =
    resource === undefined ? undefined : [resource].flat().filter((one) => typeof one === "string");
  const scope = typeof scopeText === "string" ? parseScope(scopeText) : undefined;
  // What says something that is not understood must not be taken for what says nothing.
  if (resources?.length !== (resource === undefined ? undefined : [resource].flat().length))
    throw new VerificationError("claims_invalid", "resource is no URI and no list of them");
  if (scopeText !== undefined && scope === undefined)
    throw new VerificationError("claims_invalid", "scope is no list of scope tokens");
  return { resources, scope, authorizationDetails };
}

const unmapped = plainRefusal("not_attested", "no user is mapped to this subject");
