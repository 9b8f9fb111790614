import type { FederatedTrustDomain } from "../../domain/federation.ts";
import { bundleHash, endOfBundle, readBundle } from "../../svid/federation/read-bundle.ts";

/** What may be told of a bundle that is held. */
export interface BundleOutline {
  /** SHA-256 of its canonical document, base64url. */
  readonly hash: string;
  readonly sequence: number | undefined;
  readonly refreshHintSeconds: number | undefined;
  readonly x509Authorities: number;
  readonly jwtAuthorities: number;
  /** When the last of its X.509 authorities ends, and with it the bundle. */
  readonly endsAtMs: number | undefined;
}

/** What is held of a foreign trust domain; undefined while nothing is. */
export function outlineOf({ trustDomain, bundle: held }: FederatedTrustDomain): BundleOutline | undefined {
  if (held === undefined) return undefined;
  const { bundle } = readBundle(trustDomain, Buffer.from(held.text, "utf8"));
  return {
    hash: bundleHash(held.text),
    sequence: bundle.sequence,
    refreshHintSeconds: bundle.refreshHintSeconds,
    x509Authorities: bundle.x509Authorities.length,
    jwtAuthorities: bundle.jwtAuthorities.length,
    endsAtMs: endOfBundle(bundle),
  };
}
