import { authorizationDetailsTypes } from "@countersign/sdk/model/authorization-details";
import { clientSigningAlgorithms } from "./client-authentication.ts";
import { identityAssertionProfile } from "./identity-assertion.ts";
import type { MutualTls } from "./issuer-deps.ts";

/** What works now, and what a standard requires to be there. The library's metadata says more than is true. */
const advertised = [
  "issuer",
  "authorization_endpoint",
  "token_endpoint",
  "introspection_endpoint",
  "revocation_endpoint",
  "pushed_authorization_request_endpoint",
  "jwks_uri",
  "grant_types_supported",
  "response_types_supported",
  "subject_types_supported",
  "id_token_signing_alg_values_supported",
  "token_endpoint_auth_signing_alg_values_supported",
  "code_challenge_methods_supported",
  "dpop_signing_alg_values_supported",
  "authorization_response_iss_parameter_supported",
  "request_uri_parameter_supported",
] as const;

/** The endpoints that are reached with a certificate at an alias. */
const aliased = [
  "token_endpoint",
  "introspection_endpoint",
  "revocation_endpoint",
  "pushed_authorization_request_endpoint",
] as const;

/**
 * How clients authenticate. What an operator opened for an older one is not told: none shall choose it by itself.
 *
 * Left out, a client would have to take client_secret_basic for introspection and revocation.
 */
function authentication(mutualTls: MutualTls | undefined): Record<string, unknown> {
  const byCertificate = mutualTls === undefined ? [] : ["self_signed_tls_client_auth", "spiffe_x509"];
  const methods = ["private_key_jwt", ...byCertificate];
  return {
    // A JWT-SVID is good for several requests, and so for those alone that bind what they give to a key.
    token_endpoint_auth_methods_supported: [...methods, "spiffe_jwt"],
    introspection_endpoint_auth_methods_supported: methods,
    introspection_endpoint_auth_signing_alg_values_supported: clientSigningAlgorithms,
    revocation_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_signing_alg_values_supported: clientSigningAlgorithms,
  };
}

/**
 * The metadata that both well-known documents show: of what the library would say, what is true.
 *
 * @see RFC 8414, section 2; OpenID Connect Discovery 1.0, section 3; RFC 8705, sections 3.3 and 5; RFC 9396,
 *   section 10; RFC 9701, section 7; draft-ietf-oauth-identity-assertion-authz-grant, section 6
 */
export function publishedMetadata(
  ofLibrary: Readonly<Record<string, unknown>>,
  mutualTls: MutualTls | undefined,
): Record<string, unknown> {
  const known = advertised.map((name) => [name, ofLibrary[name]] as const);
  return {
    ...Object.fromEntries(known),
    ...authentication(mutualTls),
    introspection_signing_alg_values_supported: ["ES256"],
    authorization_grant_profiles_supported: [identityAssertionProfile],
    authorization_details_types_supported: authorizationDetailsTypes,
    ...(mutualTls && { tls_client_certificate_bound_access_tokens: true }),
    ...(mutualTls?.origin !== undefined && { mtls_endpoint_aliases: aliasesAt(mutualTls.origin, ofLibrary) }),
  };
}

function aliasesAt(origin: string, ofLibrary: Readonly<Record<string, unknown>>): Record<string, string> {
  const entries = aliased.map(
    (name) => [name, `${origin}${new URL(String(ofLibrary[name])).pathname}`] as const,
  );
  return Object.fromEntries(entries);
}
