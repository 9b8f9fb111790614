import { hash, verify, X509Certificate } from "node:crypto";
import { x509popProof } from "@countersign/sdk/contract/node-face";
import type { OrganizationId } from "@countersign/sdk/model/ids";
import { DomainError } from "../../../domain/domain-error.ts";
import type { NodeAttestor } from "./attestor.ts";
import type { Nonces } from "./nonces.ts";

export interface X509PopDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly nonces: Nonces;
  /** Of the authorities that the operator trusts to say which machines are theirs. */
  readonly authorities: readonly X509Certificate[];
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

const intermediatesMax = 4;

/**
 * A machine that holds the key of a certificate which leads to one of the operator's authorities. It signs a nonce of ours
 * together with the key that it wants certified, so that nobody on the way gets another one certified by it.
 */
export function createX509PopAttestor(deps: X509PopDeps): NodeAttestor<X509PopEvidence> {
  return {
    kind: "x509pop",
    async attest({ certificates, nonce, signature }, publicKey) {
      const chain = certificates.map(readCertificate);
      const [leaf] = chain;
      const authority = leaf && authorityOf(deps, chain);
      if (leaf === undefined || authority === undefined || leaf.ca)
        throw refusal("the certificate leads to no authority that is trusted for nodes");
      if (
        !isSignedBy(
          leaf,
          Buffer.from(x509popProof(nonce, Buffer.from(publicKey).toString("base64"))),
          signature,
        )
      )
        throw refusal("the signature is not of the certificate's key over the nonce and the public key");
      // Last, so that nobody else uses one up.
      if (!(await deps.nonces.use(nonce))) throw refusal("the nonce is not ours, was used, or is over");
      // Of one ECDSA signature anybody makes another that holds: the whole certificate would name one machine twice.
      const keyHash = hash("sha256", leaf.publicKey.export({ format: "der", type: "spki" }), "hex");
      return {
        organization: deps.organization,
        attestation: "x509pop",
        subject: keyHash,
        selectors: [
          `x509pop:key:sha256:${keyHash}`,
          `x509pop:ca:sha256:${hash("sha256", authority.raw, "hex")}`,
        ],
        name: undefined,
      };
    },
  };
}

/** The authority to which a path of signatures leads from the first certificate, all of them valid now. */
function authorityOf(
  { now, authorities }: X509PopDeps,
  [leaf, ...intermediates]: readonly X509Certificate[],
): X509Certificate | undefined {
  if (leaf === undefined || intermediates.length > intermediatesMax) return undefined;
  const nowMs = now();
  let signed = leaf;
  if (!isValid(leaf, nowMs)) return undefined;
  for (const intermediate of [...intermediates, undefined]) {
    const authority = authorities.find((one) => isValid(one, nowMs) && isIssuedBy(signed, one));
    if (authority !== undefined) return authority;
    if (intermediate === undefined || !isValid(intermediate, nowMs) || !isIssuedBy(signed, intermediate))
      return undefined;
    signed = intermediate;
  }
  return undefined;
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function isValid({ validFrom, validTo }: X509Certificate, nowMs: number): boolean {
  return Date.parse(validFrom) <= nowMs && nowMs < Date.parse(validTo);
}

function isSignedBy({ publicKey }: X509Certificate, message: Uint8Array, signature: string): boolean {
  const isEdwards = publicKey.asymmetricKeyType === "ed25519";
  if (!isEdwards && !isStrongEnough(publicKey.asymmetricKeyType, publicKey.asymmetricKeyDetails))
    return false;
  return verify(isEdwards ? null : "sha256", message, publicKey, Buffer.from(signature, "base64"));
}

function isStrongEnough(
  type: string | undefined,
  details: { readonly modulusLength?: number } | undefined,
): boolean {
  return type === "ec" || (type === "rsa" && (details?.modulusLength ?? 0) >= 2048);
}

function readCertificate(base64: string): X509Certificate {
  try {
    return new X509Certificate(Buffer.from(base64, "base64"));
  } catch (error) {
    throw refusal("a certificate can't be read", error);
  }
}

function refusal(detail: string, cause?: unknown): DomainError {
  return new DomainError("not_attested", detail, cause);
}
