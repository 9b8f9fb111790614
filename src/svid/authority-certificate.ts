import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import {
  authorityExtensions,
  type CertificateIssuer,
  certificateToBeSigned,
  distinguishedName,
  keyIdentifierOf,
  subjectAltName,
  type Validity,
} from "./certificate.ts";

export interface AuthorityRequest {
  readonly trustDomain: TrustDomain;
  /** SubjectPublicKeyInfo, on P-256. */
  readonly publicKey: Uint8Array;
  readonly serial: Uint8Array;
  readonly validity: Validity;
  /** Undefined: the authority signs itself. */
  readonly issuer?: CertificateIssuer | undefined;
}

const attribute = { organization: "2.5.4.10", commonName: "2.5.4.3" } as const;

/**
 * What is to be signed to make the certificate of an X.509 authority. Its name bears its key's identifier, so that no two
 * authorities of a trust domain are called the same.
 *
 * @see X509-SVID, sections 3.2 and 4; RFC 5280, section 4.2
 */
export function authorityToBeSigned(request: AuthorityRequest): Uint8Array {
  const { trustDomain, publicKey, serial, validity } = request;
  const keyId = keyIdentifierOf(publicKey);
  const name = distinguishedName(
    [attribute.organization, "Countersign"],
    [attribute.commonName, Buffer.from(keyId).toString("hex")],
  );
  return certificateToBeSigned({
    serial,
    issuer: request.issuer ?? { name, keyId },
    subject: name,
    validity,
    publicKey,
    extensions: [...authorityExtensions, subjectAltName(`spiffe://${trustDomain}`, [], "not critical")],
  });
}
