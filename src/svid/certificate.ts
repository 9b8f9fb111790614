import { createHash } from "node:crypto";
import { der, derBitString, derExplicit, derInteger, derOid, derTag, derTime, derTrue } from "./der.ts";

/** From when to when a certificate is valid, in whole seconds. */
export interface Validity {
  readonly from: Date;
  readonly until: Date;
}

/** Who signs a certificate. */
export interface CertificateIssuer {
  /** Its distinguished name in DER. */
  readonly name: Uint8Array;
  readonly keyId: Uint8Array;
}

export interface CertificateRequest {
  /** Big-endian. */
  readonly serial: Uint8Array;
  readonly issuer: CertificateIssuer;
  /** A distinguished name in DER. */
  readonly subject: Uint8Array;
  readonly validity: Validity;
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  /** What the certificate says beside the key identifiers, which are always there. */
  readonly extensions: readonly Uint8Array[];
}

// Written once: they stand in each certificate.
const oids = {
  ecdsaWithSha256: derOid("1.2.840.10045.4.3.2"),
  subjectKeyId: derOid("2.5.29.14"),
  keyUsage: derOid("2.5.29.15"),
  subjectAltName: derOid("2.5.29.17"),
  basicConstraints: derOid("2.5.29.19"),
  authorityKeyId: derOid("2.5.29.35"),
  extendedKeyUsage: derOid("2.5.29.37"),
  serverAuth: derOid("1.3.6.1.5.5.7.3.1"),
  clientAuth: derOid("1.3.6.1.5.5.7.3.2"),
};

const ecdsaWithSha256 = der(derTag.sequence, oids.ecdsaWithSha256);
const version3 = derExplicit(0, derInteger(Uint8Array.of(2)));

/** So that a verifier whose clock is a little behind takes what was just signed. */
const backdatedMs = 10_000;

/** From a moment before now until then. */
export function validityOf(nowMs: number, untilMs: number): Validity {
  const wholeSeconds = (ms: number) => new Date(Math.floor(ms / 1000) * 1000);
  return { from: wholeSeconds(nowMs - backdatedMs), until: wholeSeconds(untilMs) };
}

/** 20 octets, positive and never shorter. @see RFC 5280, section 4.1.2.2 */
export function newSerial({
  randomBytes,
}: {
  readonly randomBytes: (size: number) => Uint8Array;
}): Uint8Array {
  const [first = 0, ...others] = randomBytes(20);
  return Uint8Array.of((first & 0x7f) | 0x40, ...others);
}

/** What is to be signed with ECDSA and SHA-256 to make a certificate. @see RFC 5280, section 4.1 */
export function certificateToBeSigned(request: CertificateRequest): Uint8Array {
  const { serial, issuer, subject, validity, publicKey, extensions } = request;
  const keyIds = [
    extension(oids.subjectKeyId, der(derTag.octetString, keyIdentifierOf(publicKey))),
    extension(oids.authorityKeyId, der(derTag.sequence, der(0x80, issuer.keyId))),
  ];
  return der(
    derTag.sequence,
    version3,
    derInteger(serial),
    ecdsaWithSha256,
    issuer.name,
    der(derTag.sequence, derTime(validity.from), derTime(validity.until)),
    subject,
    publicKey,
    derExplicit(3, der(derTag.sequence, ...extensions, ...keyIds)),
  );
}

/** The certificate, in DER. @param signature an Ecdsa-Sig-Value in DER */
export function assembleCertificate(toBeSigned: Uint8Array, signature: Uint8Array): Uint8Array {
  return der(derTag.sequence, toBeSigned, ecdsaWithSha256, derBitString(signature));
}

/** Names a key on P-256 within certificates. @see RFC 7093, section 2, method 1 */
export function keyIdentifierOf(publicKey: Uint8Array): Uint8Array {
  // An uncompressed point of P-256 is the last of the structure: 4, x and y.
  return createHash("sha256").update(publicKey.subarray(-65)).digest().subarray(0, 20);
}

/** A distinguished name: each attribute by its dotted identifier and its value. */
export function distinguishedName(
  ...attributes: readonly (readonly [oid: string, value: string])[]
): Uint8Array {
  const sets = attributes.map(([oid, value]) => {
    const attribute = [derOid(oid), der(derTag.utf8String, Buffer.from(value, "utf8"))];
    return der(derTag.set, der(derTag.sequence, ...attribute));
  });
  return der(derTag.sequence, ...sets);
}

/** Says that the key is an authority's, and may sign certificates and lists of revoked ones. */
export const authorityExtensions: readonly Uint8Array[] = [
  extension(oids.basicConstraints, der(derTag.sequence, derTrue), "critical"),
  extension(oids.keyUsage, derBitString(Uint8Array.of(0b0000_0110), 1), "critical"),
];

/** Says that the key signs handshakes, at both ends of TLS, and no certificate. */
export const leafExtensions: readonly Uint8Array[] = [
  // FALSE is the default, which DER leaves out: an empty sequence says that it is no authority.
  extension(oids.basicConstraints, der(derTag.sequence), "critical"),
  extension(oids.keyUsage, derBitString(Uint8Array.of(0b1000_0000), 7), "critical"),
  extension(oids.extendedKeyUsage, der(derTag.sequence, oids.serverAuth, oids.clientAuth)),
];

/** The names of a certificate. They are critical where its subject is empty. @see RFC 5280, section 4.2.1.6 */
export function subjectAltName(
  uri: string,
  dnsNames: readonly string[],
  criticality: "critical" | "not critical",
): Uint8Array {
  const names = [
    der(0x86, Buffer.from(uri, "latin1")),
    ...dnsNames.map((name) => der(0x82, Buffer.from(name, "latin1"))),
  ];
  return extension(oids.subjectAltName, der(derTag.sequence, ...names), criticality);
}

function extension(
  oid: Uint8Array,
  value: Uint8Array,
  criticality: "critical" | "not critical" = "not critical",
): Uint8Array {
  const critical = criticality === "critical" ? [derTrue] : [];
  return der(derTag.sequence, oid, ...critical, der(derTag.octetString, value));
}
