import { generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";
import type { SpiffeId, TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { readCertificate } from "@countersign/sdk/verify/certificate";
import { authorityToBeSigned } from "../../src/svid/authority-certificate.ts";
import {
  assembleCertificate,
  authorityExtensions,
  type CertificateIssuer,
  certificateToBeSigned,
  distinguishedName,
  leafExtensions,
  newSerial,
  subjectAltName,
  validityOf,
} from "../../src/svid/certificate.ts";
import { der, derOid, derTag, derTrue } from "../../src/svid/der.ts";
import { svidToBeSigned } from "../../src/svid/svid-certificate.ts";

/** Somebody who signs certificates. */
export interface TestAuthority {
  readonly certificate: Uint8Array;
  readonly issuer: CertificateIssuer;
  readonly privateKey: KeyObject;
}

/** As an operator keeps them in files. */
export function pemOf({ certificate, privateKey }: TestAuthority) {
  return {
    certificates: new X509Certificate(certificate).toString(),
    privateKey: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  };
}

export const dayMs = 86_400_000;
export const hourMs = 3_600_000;

export function newKey(): { readonly publicKey: Uint8Array; readonly privateKey: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { publicKey: publicKey.export({ format: "der", type: "spki" }), privateKey };
}

function signed(toBeSigned: Uint8Array, privateKey: KeyObject): Uint8Array {
  return assembleCertificate(toBeSigned, sign("sha256", toBeSigned, privateKey));
}

function authorityOf(certificate: Uint8Array, privateKey: KeyObject): TestAuthority {
  const { subject: name, subjectKeyId: keyId = new Uint8Array() } = readCertificate(certificate);
  return { certificate, issuer: { name, keyId }, privateKey };
}

/** An authority as the product makes it: its own root, or below another. */
export function makeAuthority(
  trustDomain: string,
  { nowMs = Date.now(), ...given }: { nowMs?: number; untilMs?: number; upstream?: TestAuthority } = {},
): TestAuthority {
  const { untilMs = nowMs + dayMs, upstream } = given;
  const { publicKey, privateKey } = newKey();
  const toBeSigned = authorityToBeSigned({
    trustDomain: trustDomain as TrustDomain,
    publicKey,
    serial: newSerial({ randomBytes }),
    validity: validityOf(nowMs, untilMs),
    issuer: upstream?.issuer,
  });
  return authorityOf(signed(toBeSigned, upstream?.privateKey ?? privateKey), privateKey);
}

/** A leaf as the product makes it. */
export function makeSvid(
  authority: TestAuthority,
  spiffeId: string,
  { nowMs = Date.now(), ...given }: { nowMs?: number; untilMs?: number; dnsNames?: string[] } = {},
): Uint8Array {
  const { untilMs = nowMs + hourMs, dnsNames = [] } = given;
  const toBeSigned = svidToBeSigned({
    issuer: authority.issuer,
    spiffeId: spiffeId as SpiffeId,
    dnsNames,
    publicKey: newKey().publicKey,
    serial: newSerial({ randomBytes }),
    validity: validityOf(nowMs, untilMs),
  });
  return signed(toBeSigned, authority.privateKey);
}

/** A certificate that says whatever a test wants. */
export function makeOdd(
  authority: TestAuthority | undefined,
  extensions: readonly Uint8Array[],
  { nowMs = Date.now(), name = "odd" } = {},
): TestAuthority {
  const { publicKey, privateKey } = newKey();
  const subject = distinguishedName(["2.5.4.3", name]);
  const toBeSigned = certificateToBeSigned({
    serial: newSerial({ randomBytes }),
    issuer: authority?.issuer ?? { name: subject, keyId: new Uint8Array(20) },
    subject,
    validity: validityOf(nowMs, nowMs + hourMs),
    publicKey,
    extensions,
  });
  return authorityOf(signed(toBeSigned, authority?.privateKey ?? privateKey), privateKey);
}

export const leaf = leafExtensions;
export const authority = authorityExtensions;
export const uri = (text: string) => subjectAltName(text, [], "critical");

/** Any extension. */
export function extension(oid: string, value: Uint8Array, critical = false): Uint8Array {
  return der(derTag.sequence, derOid(oid), ...(critical ? [derTrue] : []), der(derTag.octetString, value));
}

/** Says that it is an authority, with so many others below it; without a number as many as there are. */
export const ca = (pathLength?: number) =>
  extension(
    "2.5.29.19",
    der(
      derTag.sequence,
      derTrue,
      ...(pathLength === undefined ? [] : [der(0x02, Uint8Array.of(pathLength))]),
    ),
    true,
  );

/** Names of any kind, each by its tag within GeneralName: 0x82 DNS, 0x86 URI. */
export function names(...parts: readonly (readonly [tag: number, text: string])[]): Uint8Array {
  return extension(
    "2.5.29.17",
    der(derTag.sequence, ...parts.map(([tag, text]) => der(tag, Buffer.from(text)))),
  );
}

export { der, derOid, derTag };

export function bundleOf(
  trustDomain: string,
  authorities: readonly TestAuthority[],
  jwtAuthorities: TrustBundle["jwtAuthorities"] = [],
): TrustBundle {
  return {
    trustDomain: trustDomain as TrustDomain,
    x509Authorities: authorities.map(({ certificate }) => certificate),
    jwtAuthorities,
  };
}
