import { parseSpiffeId, pathOf, type SpiffeId, type TrustDomain, trustDomainOf } from "../model/spiffe-id.ts";
import type { TrustBundle } from "../model/trust-bundle.ts";
import { type Certificate, readCertificate, sameOctets } from "./certificate.ts";
import { DerError } from "./der-reader.ts";
import { VerificationError } from "./verification-error.ts";
import { type VerifySignature, verifySignatureByWebCrypto } from "./x509-signature.ts";

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

const intermediatesMax = 4;
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
  demandValid(leaf, deps.now(), "the SVID");
  const bundle = await deps.bundleOf(trustDomainOf(spiffeId));
  if (bundle === undefined)
    throw new VerificationError("issuer_unknown", "the SVID is of a trust domain that is not trusted here");
  const authorities = authoritiesOf(bundle);
  const nowMs = deps.now();
  let signed = leaf;
  for (const [below, intermediate] of [...intermediates, undefined].entries()) {
    if (await isSignedByOneOf(deps, signed, authorities, below, nowMs)) return { spiffeId, leaf };
    if (intermediate === undefined) break;
    demandAuthority(intermediate, below);
    demandValid(intermediate, nowMs, "an authority");
    if (!(await isSignedBy(deps, signed, intermediate)))
      throw new VerificationError("signature_invalid", "a certificate is not signed by the next one");
    signed = intermediate;
  }
  throw new VerificationError("key_unknown", "no authority of the SVID's trust domain signed it");
}

const readAuthorities = new WeakMap<TrustBundle, readonly Certificate[]>();

/** Reads the authorities of a bundle once: it verifies many SVIDs, and each costs little more than a leaf. */
function authoritiesOf(bundle: TrustBundle): readonly Certificate[] {
  const known = readAuthorities.get(bundle) ?? bundle.x509Authorities.map(read);
  readAuthorities.set(bundle, known);
  return known;
}

function readChain(chain: readonly Uint8Array[]): readonly Certificate[] {
  if (chain.length > intermediatesMax + 1)
    throw new VerificationError("malformed", "there are too many certificates");
  return chain.map(read);
}

function read(der: Uint8Array): Certificate {
  try {
    return readCertificate(der);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new VerificationError("malformed", `a certificate can't be read: ${error.message}`, error);
  }
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

function demandLeaf({ isAuthority, keyUsage, extendedKeyUsage, notUnderstood }: Certificate): void {
  if (isAuthority || keyUsage?.keyCertSign || keyUsage?.cRLSign)
    throw new VerificationError("claims_invalid", "an authority's certificate is nobody's identity");
  if (keyUsage === undefined || !keyUsage.critical || !keyUsage.digitalSignature)
    throw new VerificationError("claims_invalid", "the SVID's key is not said to be for signatures");
  if (extendedKeyUsage !== undefined && !serverAndClientAuth.every((use) => extendedKeyUsage.includes(use)))
    throw new VerificationError("claims_invalid", "the SVID is for something else than both ends of TLS");
  demandUnderstood(notUnderstood);
}

function demandAuthority(certificate: Certificate, below: number): void {
  const fault = authorityFault(certificate, below);
  if (fault !== undefined) throw new VerificationError("chain_invalid", fault);
}

/** Why a certificate may not have signed another; undefined: it may. @param below authorities between it and the leaf */
function authorityFault(certificate: Certificate, below: number): string | undefined {
  const { isAuthority, keyUsage, pathLength, uris, notUnderstood } = certificate;
  if (!isAuthority || keyUsage?.keyCertSign !== true)
    return "a certificate that signed another is no authority's";
  if (pathLength !== undefined && pathLength < below) return "an authority signed through too many others";
  // X509-SVID, section 3.2: the ID of an authority names a trust domain and nothing in it.
  if (uris.some((uri) => !isTrustDomainId(uri))) return "an authority bears the name of a workload";
  return notUnderstood.length === 0 ? undefined : "an authority is limited in a way that is not understood";
}

function isTrustDomainId(uri: string): boolean {
  const id = parseSpiffeId(uri);
  return id !== undefined && pathOf(id) === "";
}

function demandUnderstood(notUnderstood: readonly string[]): void {
  if (notUnderstood.length > 0)
    throw new VerificationError("claims_invalid", "the SVID has a critical extension that is not understood");
}

function demandValid({ notBeforeMs, notAfterMs }: Certificate, nowMs: number, what: string): void {
  if (nowMs < notBeforeMs) throw new VerificationError("not_yet_valid", `${what} is not valid yet`);
  if (nowMs > notAfterMs) throw new VerificationError("expired", `${what} has expired`);
}

async function isSignedByOneOf(
  deps: X509SvidDeps,
  signed: Certificate,
  authorities: readonly Certificate[],
  below: number,
  nowMs: number,
): Promise<boolean> {
  for (const authority of authorities) {
    const isUsable =
      nowMs >= authority.notBeforeMs &&
      nowMs <= authority.notAfterMs &&
      authorityFault(authority, below) === undefined;
    if (isUsable && (await isSignedBy(deps, signed, authority))) return true;
  }
  return false;
}

async function isSignedBy(
  { verifySignature = verifySignatureByWebCrypto }: X509SvidDeps,
  signed: Certificate,
  signer: Certificate,
): Promise<boolean> {
  if (!sameOctets(signed.issuer, signer.subject)) return false;
  const { authorityKeyId } = signed;
  const { subjectKeyId } = signer;
  // Where both are given they tell at once which of two authorities of one name it was.
  if (authorityKeyId !== undefined && subjectKeyId !== undefined && !sameOctets(authorityKeyId, subjectKeyId))
    return false;
  return verifySignature({
    algorithm: signed.signatureAlgorithm,
    publicKey: signer.publicKey,
    message: signed.toBeSigned,
    signature: signed.signature,
  });
}
