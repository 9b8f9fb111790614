import type { TrustDomain } from "./spiffe-id.ts";

/** A public key that verifies JWT-SVIDs, as RFC 7517 writes it, with the members that matter here. */
export interface JwtAuthority {
  readonly kid: string;
  readonly kty: string;
  readonly [member: string]: unknown;
}

/**
 * What verifies the SVIDs of one trust domain, and of no other.
 *
 * @see SPIFFE Trust Domain and Bundle, section 4
 */
export interface TrustBundle {
  readonly trustDomain: TrustDomain;
  /** Certificates in DER, one of each authority. */
  readonly x509Authorities: readonly Uint8Array[];
  readonly jwtAuthorities: readonly JwtAuthority[];
  /** Grows with each change; absent where the publisher does not say. */
  readonly sequence?: number;
  /** How often to look for news, where the publisher says. */
  readonly refreshHintSeconds?: number;
}
