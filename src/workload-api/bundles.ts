import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";

/** The SPIFFE ID of a trust domain itself, by which bundles are told apart on the wire. */
export function idOf({ trustDomain }: Pick<TrustBundle, "trustDomain">): string {
  return `spiffe://${trustDomain}`;
}

/** A bundle's X.509 authorities as the Workload API writes them: DER, one after another. */
export function x509AuthoritiesOf({ x509Authorities }: TrustBundle): Buffer {
  return Buffer.concat(x509Authorities);
}

/** A bundle's JWT authorities as a JWK Set. @see RFC 7517, section 5 */
export function jwtAuthoritiesOf({ jwtAuthorities }: TrustBundle): Buffer {
  return Buffer.from(JSON.stringify({ keys: jwtAuthorities }));
}

/** Bundles by the SPIFFE ID of their trust domain, always in the same order. */
export function byTrustDomain(
  bundles: readonly TrustBundle[],
  write: (bundle: TrustBundle) => Buffer,
): Record<string, Buffer> {
  const sorted = [...bundles].sort((one, other) => (one.trustDomain < other.trustDomain ? -1 : 1));
  return Object.fromEntries(sorted.map((bundle) => [idOf(bundle), write(bundle)]));
}

/** The same things, in which each hint stands once: where it was first. @see SPIFFE Workload API, sections 5.2.1 and 6.2.1 */
export function hinted<Svid extends { readonly hint: string | undefined }>(
  svids: readonly Svid[],
): (Svid & { readonly hint: string })[] {
  const seen = new Set<string>();
  return svids.map((svid) => {
    const { hint = "" } = svid;
    const isNew = !seen.has(hint);
    seen.add(hint);
    return { ...svid, hint: isNew ? hint : "" };
  });
}
