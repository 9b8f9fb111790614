import { hash, type KeyObject, verify, X509Certificate } from "node:crypto";
import { x509popProof } from "@countersign/sdk/contract/node-face";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import { type Certificate, readCertificate } from "@countersign/sdk/verify/certificate";
import { authorityFault, readChain, verifyCertificatePath } from "@countersign/sdk/verify/certificate-path";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import type { VerifySignature } from "@countersign/sdk/verify/x509-signature";
import { DomainError } from "../../../domain/domain-error.ts";
import { isStrong, readPublicKey } from "../../verify-signature.ts";
import type { NodeAttestor } from "./attestor.ts";
import type { Nonces } from "./nonces.ts";

export interface X509PopDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly nonces: Nonces;
  readonly verifySignature: VerifySignature;
  /** Of those that the operator trusts to say which machines are theirs, in DER. */
  readonly authorities: readonly Uint8Array[];
  /** Whose nodes such machines become. */
  readonly organization: OrganizationId;
}

export interface X509PopEvidence {
  /** DER in base64: the machine's own first, then what signed it; the authority may be left out. */
  readonly certificates: readonly string[];
  readonly nonce: string;
  /** Of `x509popProof`, base64. */
  readonly signature: string;
}

const clientAuth = "1.3.6.1.5.5.7.3.2";
const anyUse = "2.5.29.37.0";
const noNonce = "the nonce is not ours, or is over";

/**
 * A machine that holds the key of a certificate which leads to one of the operator's authorities, and is for signatures and
 * for clients of TLS: a certificate for something else, though of the same authority, is no machine's. It signs a nonce of
 * ours together with the key that it wants certified, so that nobody on the way gets another one certified by it.
 *
 * @see RFC 5280, section 6.1
 */
export function createX509PopAttestor(deps: X509PopDeps): NodeAttestor<X509PopEvidence> {
  return {
    kind: "x509pop",
    async attest({ certificates, nonce, signature }, publicKey) {
      // First, for it costs least.
      if (!deps.nonces.isOurs(nonce)) throw refusal(noNonce);
      const { leaf, authority } = await verifyMachine(deps, certificates);
      const key = readPublicKey(leaf.publicKey);
      const proof = x509popProof(nonce, Buffer.from(publicKey).toString("base64"));
      if (key === undefined || !isSignedBy(key, Buffer.from(proof), signature))
        throw refusal("the signature is not of the certificate's key over the nonce and the public key");
      const once = await deps.nonces.use(nonce);
      if (once === undefined) throw refusal(noNonce);
      // Of one ECDSA signature anybody makes another that holds: the whole certificate would name one machine twice.
      const keyHash = hash("sha256", key.export({ format: "der", type: "spki" }), "hex");
      return {
        organization: deps.organization,
        attestation: "x509pop",
        subject: keyHash,
        selectors: [`x509pop:key:sha256:${keyHash}`, `x509pop:ca:sha256:${hash("sha256", authority, "hex")}`],
        name: undefined,
        once,
      };
    },
  };
}

/**
 * Reads the authorities whose certificates make a machine a node.
 *
 * @param pem one certificate after the other
 * @returns each in DER
 * @throws Error in one line that says what is wrong with them
 */
export function readMachineAuthorities(pem: string): readonly Uint8Array[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Error("it holds no certificate in PEM");
  const authorities = blocks.map((block) => new X509Certificate(block).raw);
  for (const authority of authorities) {
    const certificate = readCertificate(authority);
    const fault = authorityFault({ faultOf: purposeFault }, certificate, 0);
    if (fault !== undefined) throw new Error(fault);
    const key = readPublicKey(certificate.publicKey);
    if (key === undefined || !isStrong(key))
      throw new Error("an authority's key is too weak, or of no usual size");
  }
  return authorities;
}

/** The machine's own certificate, and the authority that a path leads to from it. @throws DomainError `not_attested` */
async function verifyMachine(
  { now, verifySignature, authorities: x509Authorities }: X509PopDeps,
  certificates: readonly string[],
): Promise<{ readonly leaf: Certificate; readonly authority: Uint8Array }> {
  try {
    const [leaf, ...intermediates] = readChain(certificates.map((text) => Buffer.from(text, "base64")));
    if (leaf === undefined) throw refusal("there is no certificate");
    demandMachine(leaf);
    const checks = { now, verifySignature, faultOf: purposeFault };
    const place = await verifyCertificatePath(checks, { leaf, intermediates, x509Authorities });
    return { leaf, authority: x509Authorities[place] ?? new Uint8Array() };
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    throw refusal("the certificate leads to no authority that is trusted for nodes", error);
  }
}

function demandMachine({ isAuthority, keyUsage, extendedKeyUsage }: Certificate): void {
  const signsMore = keyUsage?.keyCertSign || keyUsage?.cRLSign;
  if (isAuthority || signsMore || !keyUsage?.digitalSignature || !extendedKeyUsage?.includes(clientAuth))
    throw refusal("the certificate is not one for signatures of a client of TLS");
}

/** An authority that is for other purposes makes no machines, though RFC 5280 leaves that open. */
function purposeFault({ extendedKeyUsage }: Certificate): string | undefined {
  const isForClients = extendedKeyUsage?.some((use) => use === clientAuth || use === anyUse) ?? true;
  return isForClients ? undefined : "an authority is for other certificates than those of clients";
}

function isSignedBy(key: KeyObject, message: Uint8Array, signature: string): boolean {
  const digest = key.asymmetricKeyType === "ed25519" ? null : "sha256";
  return isStrong(key) && verify(digest, message, key, Buffer.from(signature, "base64"));
}

function refusal(detail: string, cause?: unknown): DomainError {
  return new DomainError("not_attested", detail, cause);
}
