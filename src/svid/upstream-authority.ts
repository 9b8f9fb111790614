import { createPrivateKey, createPublicKey, type KeyObject, sign, X509Certificate } from "node:crypto";
import { type Certificate, readCertificate, sameOctets } from "@countersign/sdk/verify/certificate";
import type { CertificateIssuer } from "./certificate.ts";

/** An authority outside of the trust domain's own that signs ours, so that verifiers need to know it alone. */
export interface UpstreamAuthority {
  readonly issuer: CertificateIssuer;
  /** Certificates in DER: its own first, the root last. */
  readonly chain: readonly Uint8Array[];
  /** When the first of them ends. */
  readonly notAfterMs: number;
  /** ECDSA with SHA-256: an Ecdsa-Sig-Value in DER. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

export interface UpstreamFiles {
  /** PEM: the authority's own certificate first, then those above it, up to a root. */
  readonly certificates: string;
  /** PEM. */
  readonly privateKey: string;
}

/**
 * Reads an authority that an operator supplies.
 *
 * @throws Error in one line that says what is wrong with it
 */
export function readUpstreamAuthority(files: UpstreamFiles, nowMs: number): UpstreamAuthority {
  const chain = chainOf(files.certificates);
  const read = chain.map(readCertificate);
  const [own, ...above] = read;
  if (own === undefined) throw new Error("it holds no certificate");
  const privateKey = keyOf(files.privateKey);
  const ownKey = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  if (!sameOctets(ownKey, own.publicKey)) throw new Error("the key is not that of the first certificate");
  for (const [place, certificate] of read.entries()) demandAuthority(certificate, place + 1, nowMs);
  for (const [place, signer] of above.entries()) {
    const [signed, by] = [chain[place], chain[place + 1]].map((der) => der && new X509Certificate(der));
    const issuer = read[place]?.issuer ?? new Uint8Array();
    if (!sameOctets(issuer, signer.subject) || by === undefined || !signed?.verify(by.publicKey))
      throw new Error("its certificates do not follow one from the other: each must be signed by the next");
  }
  return {
    issuer: { name: own.subject, keyId: own.subjectKeyId ?? new Uint8Array() },
    chain,
    notAfterMs: Math.min(...read.map(({ notAfterMs }) => notAfterMs)),
    sign: (message) => sign("sha256", message, privateKey),
  };
}

function chainOf(pem: string): readonly Uint8Array[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block).raw);
}

function keyOf(pem: string): KeyObject {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyType !== "ec") throw new Error("the key must be one on an elliptic curve");
  return key;
}

/** @param below how many authorities of ours, and others, it signs for */
function demandAuthority(certificate: Certificate, below: number, nowMs: number): void {
  const { isAuthority, keyUsage, pathLength, notBeforeMs, notAfterMs, subjectKeyId } = certificate;
  if (!isAuthority || keyUsage?.keyCertSign !== true)
    throw new Error("it is no authority: it must be a CA that may sign certificates");
  if (pathLength !== undefined && pathLength < below)
    throw new Error("its path length does not let it sign another authority");
  if (nowMs < notBeforeMs || nowMs > notAfterMs) throw new Error("it is not valid now");
  if (subjectKeyId === undefined) throw new Error("it has no subject key identifier");
}
