import { clientSigningAlgorithms } from "./client-authentication.ts";

/** What works now, and what a standard requires to be there. The library's metadata says more than is true. */
const advertised = [
  "issuer",
  "authorization_endpoint",
  "token_endpoint",
  "introspection_endpoint",
  "revocation_endpoint",
  "jwks_uri",
  "grant_types_supported",
  "response_types_supported",
  "subject_types_supported",
  "id_token_signing_alg_values_supported",
  "token_endpoint_auth_methods_supported",
  "token_endpoint_auth_signing_alg_values_supported",
  "code_challenge_methods_supported",
  "dpop_signing_alg_values_supported",
  "authorization_response_iss_parameter_supported",
  "request_uri_parameter_supported",
] as const;

// Left out, a client would have to take client_secret_basic for revocation.
const otherEndpoints = {
  introspection_endpoint_auth_methods_supported: ["private_key_jwt"],
  introspection_endpoint_auth_signing_alg_values_supported: clientSigningAlgorithms,
  revocation_endpoint_auth_methods_supported: ["private_key_jwt"],
  revocation_endpoint_auth_signing_alg_values_supported: clientSigningAlgorithms,
} as const;

/**
 * The metadata that both well-known documents show: of what the library would say, what is true.
 *
 * @see RFC 8414, section 2; OpenID Connect Discovery 1.0, section 3
 */
export function publishedMetadata(ofLibrary: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const known = advertised.map((name) => [name, ofLibrary[name]] as const);
  return { ...Object.fromEntries(known), ...otherEndpoints };
}
