import type { SpiffeId } from "@countersign/sdk/model/spiffe-id";
import {
  type CertificateIssuer,
  certificateToBeSigned,
  leafExtensions,
  subjectAltName,
  type Validity,
} from "./certificate.ts";
import { der, derTag } from "./der.ts";

export interface SvidRequest {
  readonly issuer: CertificateIssuer;
  readonly spiffeId: SpiffeId;
  readonly dnsNames: readonly string[];
  /** SubjectPublicKeyInfo, on P-256. */
  readonly publicKey: Uint8Array;
  readonly serial: Uint8Array;
  readonly validity: Validity;
}

const noName = der(derTag.sequence);

/**
 * What an authority signs to make an X.509-SVID. It has no subject, so that nobody reads an identity where there is none:
 * the SPIFFE ID is its name.
 *
 * @see X509-SVID, sections 2 to 4
 */
export function svidToBeSigned({ spiffeId, dnsNames, ...request }: SvidRequest): Uint8Array {
  return certificateToBeSigned({
    ...request,
    subject: noName,
    extensions: [...leafExtensions, subjectAltName(spiffeId, dnsNames, "critical")],
  });
}
