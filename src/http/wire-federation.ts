import type { FederatedTrustDomain } from "../domain/federation.ts";
import { outlineOf } from "../journeys/federation/outline.ts";
import { timeToWire } from "./wire.ts";

/** A foreign trust domain, as the contract writes it. */
export function federationToWire(federation: FederatedTrustDomain) {
  const { id, trustDomain, endpointUrl, profile, endpointSpiffeId, ca, privateAllowed, status } = federation;
  const bundle = outlineOf(federation);
  return {
    id,
    trust_domain: trustDomain,
    endpoint_url: endpointUrl,
    profile,
    endpoint_spiffe_id: endpointSpiffeId,
    has_ca: ca !== undefined,
    allow_private: privateAllowed,
    trusted_for: federation.trustedForSeconds,
    status,
    bundle: bundle && {
      sha256: bundle.hash,
      sequence: bundle.sequence,
      refresh_hint: bundle.refreshHintSeconds,
      x509_authorities: bundle.x509Authorities,
      jwt_authorities: bundle.jwtAuthorities,
      ends_at: timeToWire(bundle.endsAtMs),
    },
    fetched_at: timeToWire(federation.fetchedAtMs),
    failed_at: timeToWire(federation.failed?.atMs),
    failure: federation.failed?.reason,
    next_fetch_at: new Date(federation.dueAtMs).toISOString(),
    created_at: new Date(federation.createdAtMs).toISOString(),
  };
}
