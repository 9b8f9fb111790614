import { parseSpiffeId, pathOf, type SpiffeId, type TrustDomain, trustDomainOf } from "../model/spiffe-id.ts";
import type { TrustBundle } from "../model/trust-bundle.ts";
import type { Certificate } from "./certificate.ts";
import { readChain, verifyCertificatePath } from "./certificate-path.ts";
import { VerificationError } from "./verification-error.ts";
import type { VerifySignature } from "./x509-signature.ts";

export interface X509SvidDeps {
  /** What verifies the SVIDs of a trust domain; undefined for one that is not trusted here. */
  readonly bundleOf: (trustDomain: TrustDomain) => TrustBundle | undefined | Promise<TrustBundle | undefined>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Default: WebCrypto. A machine with something quicker may bring it. */
  readonly verifySignature?: VerifySignature;
}

/** Who presented an X.509-SVID, provided that they hold the private key. */
export interface VerifiedX509Svid {
  readonly spiffeId: SpiffeId;
  readonly leaf: Certificate;
}

const serverAndClientAuth = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"];

/**
 * Verifies an X.509-SVID: that it is a leaf for one SPIFFE ID with a path, and that a path of signatures leads from it to
 * an authority in the bundle of that ID's own trust domain. An authority of another trust domain, whichever else is
 * trusted here, speaks for no ID of this one. Whether the presenter holds the key is for the handshake to show.
 *
 * @param chain certificates in DER: the leaf, then what signed it, and so on; the authority itself may be left out
 * @throws VerificationError with the first check that failed; what `deps.bundleOf` throws passes
 * @see X509-SVID, section 5; RFC 5280, section 6.1
 */
export async function verifyX509Svid(
  deps: X509SvidDeps,
  chain: readonly Uint8Array[],
): Promise<VerifiedX509Svid> {
  const [leaf, ...intermediates] = readChain(chain);
  if (leaf === undefined) throw new VerificationError("malformed", "there is no certificate");
  const spiffeId = leafId(leaf);
  demandLeaf(leaf);
  const bundle = await deps.bundleOf(trustDomainOf(spiffeId));
  if (bundle === undefined)
    throw new VerificationError("issuer_unknown", "the SVID is of a trust domain that is not trusted here");
  const { x509Authorities } = bundle;
  await verifyCertificatePath({ ...deps, faultOf: nameFault }, { leaf, intermediates, x509Authorities });
  return { spiffeId, leaf };
}

function leafId({ uris }: Certificate): SpiffeId {
  const [uri, ...more] = uris;
  if (uri === undefined || more.length > 0)
    throw new VerificationError("claims_invalid", "an SVID has exactly one URI among its names");
  const spiffeId = parseSpiffeId(uri);
  if (spiffeId === undefined || pathOf(spiffeId) === "")
    throw new VerificationError("claims_invalid", "the SVID's URI is no SPIFFE ID with a path");
  return spiffeId;
}

function demandLeaf({ isAuthority, keyUsage, extendedKeyUsage }: Certificate): void {
  if (isAuthority || keyUsage?.keyCertSign || keyUsage?.cRLSign)
    throw new VerificationError("claims_invalid", "an authority's certificate is nobody's identity");
  if (keyUsage === undefined || !keyUsage.critical || !keyUsage.digitalSignature)
    throw new VerificationError("claims_invalid", "the SVID's key is not said to be for signatures");
  if (extendedKeyUsage !== undefined && !serverAndClientAuth.every((use) => extendedKeyUsage.includes(use)))
    throw new VerificationError("claims_invalid", "the SVID is for something else than both ends of TLS");
}

/** The ID of an authority names a trust domain and nothing in it. @see X509-SVID, section 3.2 */
function nameFault({ uris }: Certificate): string | undefined {
  return uris.every(isTrustDomainId) ? undefined : "an authority bears the name of a workload";
}

function isTrustDomainId(uri: string): boolean {
  const id = parseSpiffeId(uri);
  return id !== undefined && pathOf(id) === "";
}
