import { type FederatedTrustDomain, trustEndsAtMs } from "../../domain/federation.ts";
import { bundleHash, endOfBundle, readBundle } from "../../svid/federation/read-bundle.ts";

/** What may be told of a bundle that is held. */
export interface BundleOutline {
  /** SHA-256 of its canonical document, base64url. */
  readonly hash: string;
  readonly sequence: number | undefined;
  readonly refreshHintSeconds: number | undefined;
  readonly x509Authorities: number;
  readonly jwtAuthorities: number;
  /** Until when it is believed, unless it is fetched again. */
  readonly endsAtMs: number;
}

/** What is held of a foreign trust domain; undefined while nothing is. */
export function outlineOf(federation: FederatedTrustDomain): BundleOutline | undefined {
  const { trustDomain, bundle: held } = federation;
  if (held === undefined) return undefined;
  const { bundle } = readBundle(trustDomain, Buffer.from(held.text, "utf8"));
  return {
    hash: bundleHash(held.text),
    sequence: bundle.sequence,
    refreshHintSeconds: bundle.refreshHintSeconds,
    x509Authorities: bundle.x509Authorities.length,
    jwtAuthorities: bundle.jwtAuthorities.length,
    endsAtMs: trustEndsAtMs(federation, endOfBundle(bundle)),
  };
}
