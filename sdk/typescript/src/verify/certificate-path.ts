import { type Certificate, readCertificate, sameOctets } from "./certificate.ts";
import { DerError } from "./der-reader.ts";
import { VerificationError } from "./verification-error.ts";
import { type VerifySignature, verifySignatureByWebCrypto } from "./x509-signature.ts";

export interface CertificatePathDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Default: WebCrypto. A machine with something quicker may bring it. */
  readonly verifySignature?: VerifySignature;
  /** What else an authority may not be, as a reason; undefined: nothing stands against it. */
  readonly faultOf?: (authority: Certificate) => string | undefined;
}

export interface CertificatePath {
  readonly leaf: Certificate;
  /** What signed the leaf, and what signed that, and so on; the authority itself may be left out. */
  readonly intermediates: readonly Certificate[];
  /** Those that are trusted, in DER; none need have signed itself. */
  readonly x509Authorities: readonly Uint8Array[];
}

const intermediatesMax = 4;

/** Reads what was presented: the leaf first. @throws VerificationError `malformed` for what can't be read, and for too many */
export function readChain(chain: readonly Uint8Array[]): readonly Certificate[] {
  if (chain.length > intermediatesMax + 1)
    throw new VerificationError("malformed", "there are too many certificates");
  return chain.map(read);
}

/**
 * Verifies that a path of signatures leads from a leaf to one of the authorities: all of it valid now, each of them one that
 * may sign the one before it, at this distance from the leaf, and limited in no way that is not understood here. What the
 * leaf is for is the caller's to look at.
 *
 * @returns the place of the authority among those that are trusted
 * @throws VerificationError with the first check that failed
 * @see RFC 5280, section 6.1
 */
export async function verifyCertificatePath(
  deps: CertificatePathDeps,
  { leaf, intermediates, x509Authorities }: CertificatePath,
): Promise<number> {
  const nowMs = deps.now();
  demandValid(leaf, nowMs, "the certificate");
  if (leaf.notUnderstood.length > 0)
    throw new VerificationError("claims_invalid", "it has a critical extension that is not understood");
  const authorities = readAuthorities(x509Authorities);
  let signed = leaf;
  for (const [below, intermediate] of [...intermediates, undefined].entries()) {
    const place = await placeOfSigner(deps, signed, authorities, below);
    if (place !== undefined) {
      await demandSigned(deps, [leaf, ...intermediates.slice(0, below)]);
      return place;
    }
    if (intermediate === undefined) break;
    const fault = authorityFault(deps, intermediate, below);
    if (fault !== undefined) throw new VerificationError("chain_invalid", fault);
    demandValid(intermediate, nowMs, "an authority");
    if (!isNamedBy(signed, intermediate)) throw notSignedByNext();
    signed = intermediate;
  }
  throw new VerificationError("key_unknown", "no authority that is trusted for it signed it");
}

/** From the one that an authority signed downwards: no key is used, whatever it costs, that nobody trusted vouches for. */
async function demandSigned(deps: CertificatePathDeps, path: readonly Certificate[]): Promise<void> {
  for (const [place, signed] of [...path.entries()].reverse()) {
    const signer = path[place + 1];
    if (signer !== undefined && !(await isSignedBy(deps, signed, signer))) throw notSignedByNext();
  }
}

function notSignedByNext(): VerificationError {
  return new VerificationError("signature_invalid", "a certificate is not signed by the next one");
}

const known = new WeakMap<readonly Uint8Array[], readonly Certificate[]>();

/** Reads the authorities of a bundle once: they verify many certificates, and each costs little more than a leaf. */
function readAuthorities(x509Authorities: readonly Uint8Array[]): readonly Certificate[] {
  const authorities = known.get(x509Authorities) ?? x509Authorities.map(read);
  known.set(x509Authorities, authorities);
  return authorities;
}

function read(der: Uint8Array): Certificate {
  try {
    return readCertificate(der);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new VerificationError("malformed", `a certificate can't be read: ${error.message}`, error);
  }
}

/** Why a certificate may not have signed another; undefined: it may. @param below authorities between it and the leaf */
export function authorityFault(
  { faultOf }: Pick<CertificatePathDeps, "faultOf">,
  certificate: Certificate,
  below: number,
): string | undefined {
  const { isAuthority, keyUsage, pathLength, notUnderstood } = certificate;
  if (!isAuthority || keyUsage?.keyCertSign !== true)
    return "a certificate that signed another is no authority's";
  if (pathLength !== undefined && pathLength < below) return "an authority signed through too many others";
  if (notUnderstood.length > 0) return "an authority is limited in a way that is not understood";
  return faultOf?.(certificate);
}

function demandValid({ notBeforeMs, notAfterMs }: Certificate, nowMs: number, what: string): void {
  if (nowMs < notBeforeMs) throw new VerificationError("not_yet_valid", `${what} is not valid yet`);
  if (nowMs > notAfterMs) throw new VerificationError("expired", `${what} has expired`);
}

async function placeOfSigner(
  deps: CertificatePathDeps,
  signed: Certificate,
  authorities: readonly Certificate[],
  below: number,
): Promise<number | undefined> {
  const nowMs = deps.now();
  for (const [place, authority] of authorities.entries()) {
    const isUsable =
      nowMs >= authority.notBeforeMs &&
      nowMs <= authority.notAfterMs &&
      authorityFault(deps, authority, below) === undefined;
    if (isUsable && (await isSignedBy(deps, signed, authority))) return place;
  }
  return undefined;
}

/** Whether it says of itself that this one signed it. */
function isNamedBy(signed: Certificate, signer: Certificate): boolean {
  if (!sameOctets(signed.issuer, signer.subject)) return false;
  const { authorityKeyId } = signed;
  const { subjectKeyId } = signer;
  // Where both are given they tell at once which of two authorities of one name it was.
  return (
    authorityKeyId === undefined || subjectKeyId === undefined || sameOctets(authorityKeyId, subjectKeyId)
  );
}

async function isSignedBy(
  { verifySignature = verifySignatureByWebCrypto }: CertificatePathDeps,
  signed: Certificate,
  signer: Certificate,
): Promise<boolean> {
  if (!isNamedBy(signed, signer)) return false;
  return verifySignature({
    algorithm: signed.signatureAlgorithm,
    publicKey: signer.publicKey,
    message: signed.toBeSigned,
    signature: signed.signature,
  });
}
