import { type TrustBundleDocument, trustBundleSchema } from "../contract/trust-bundle.ts";
import type { TrustDomain } from "../model/spiffe-id.ts";
import type { JwtAuthority, TrustBundle } from "../model/trust-bundle.ts";
import { fromBase64, toBase64 } from "../tlog/base64.ts";
import { readCertificate } from "./certificate.ts";
import { contentOf, DerError, readDer, readDerBits, readDerList, readDerOid } from "./der-reader.ts";
import { VerificationError } from "./verification-error.ts";

/** Who trusts one trust domain alone, by this bundle: no other's SVIDs verify. */
export function bundleOfOne(bundle: TrustBundle): (trustDomain: TrustDomain) => TrustBundle | undefined {
  return (asked) => (asked === bundle.trustDomain ? bundle : undefined);
}

/**
 * Reads the bundle of a trust domain out of the document that it publishes. Keys of a use or a type that is not known here
 * are left out, as the specification wants; one that says it is an authority and can't be read spoils the document.
 *
 * @param trustDomain whose the caller knows it to be: the document does not say
 * @param document JSON as parsed
 * @throws VerificationError `malformed`
 * @see SPIFFE Trust Domain and Bundle, section 4
 */
export function parseTrustBundle(trustDomain: TrustDomain, document: unknown): TrustBundle {
  const parsed = trustBundleSchema.safeParse(document);
  if (!parsed.success) throw new VerificationError("malformed", "that is no trust bundle", parsed.error);
  const { keys, spiffe_sequence: sequence, spiffe_refresh_hint: refreshHintSeconds } = parsed.data;
  return {
    trustDomain,
    x509Authorities: keys.filter(({ use }) => use === "x509-svid").flatMap(x509AuthorityOf),
    jwtAuthorities: keys.filter(({ use }) => use === "jwt-svid").flatMap(jwtAuthorityOf),
    ...(sequence !== undefined && { sequence }),
    ...(refreshHintSeconds !== undefined && { refreshHintSeconds }),
  };
}

/** The document that publishes a bundle. */
export function formatTrustBundle(bundle: TrustBundle): TrustBundleDocument {
  const { x509Authorities, jwtAuthorities, sequence, refreshHintSeconds } = bundle;
  return {
    keys: [
      ...x509Authorities.map((der) => ({ use: "x509-svid", ...jwkOf(der), x5c: [toBase64(der)] })),
      ...jwtAuthorities.map((authority) => ({ ...authority, use: "jwt-svid" })),
    ],
    ...(sequence !== undefined && { spiffe_sequence: sequence }),
    ...(refreshHintSeconds !== undefined && { spiffe_refresh_hint: refreshHintSeconds }),
  };
}

type BundleKey = TrustBundleDocument["keys"][number];

function x509AuthorityOf({ x5c: [certificate] = [] }: BundleKey): Uint8Array[] {
  // X509-SVID, section 6.2: without a certificate the key is ignored, and of several the first one counts.
  if (certificate === undefined) return [];
  const der = fromBase64(certificate);
  try {
    if (der === undefined) throw new DerError("it is not base64");
    readCertificate(der);
    return [der];
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new VerificationError("malformed", "a certificate of the trust bundle can't be read", error);
  }
}

/** A key without a name verifies nothing here: every JWT-SVID names the key that signed it. */
function jwtAuthorityOf({ kid, use: _, ...key }: BundleKey): JwtAuthority[] {
  if (kid === undefined || (key.kty !== "EC" && key.kty !== "RSA")) return [];
  return [{ ...key, kid }];
}

/** The members that name a certificate's key, which RFC 7517 wants beside `x5c`. @throws DerError for a key of another kind */
function jwkOf(der: Uint8Array): { readonly kty: string; readonly [member: string]: string } {
  const [algorithm, bits] = readDerList(contentOf(readDer(readCertificate(der).publicKey), 0x30));
  const [name, parameters] = readDerList(contentOf(algorithm, 0x30));
  const { octets } = readDerBits(bits);
  if (readDerOid(name) === "1.2.840.113549.1.1.1") {
    const [modulus, exponent] = readDerList(contentOf(readDer(octets), 0x30));
    return {
      kty: "RSA",
      n: base64url(unsigned(contentOf(modulus, 0x02))),
      e: base64url(contentOf(exponent, 0x02)),
    };
  }
  const crv = parameters && curveNames[readDerOid(parameters)];
  if (crv === undefined || octets[0] !== 4) throw new DerError("a key is of a kind that is not known");
  const half = (octets.length - 1) / 2;
  return {
    kty: "EC",
    crv,
    x: base64url(octets.subarray(1, 1 + half)),
    y: base64url(octets.subarray(1 + half)),
  };
}

const curveNames: Readonly<Record<string, string>> = {
  "1.2.840.10045.3.1.7": "P-256",
  "1.3.132.0.34": "P-384",
  "1.3.132.0.35": "P-521",
};

function unsigned(octets: Uint8Array): Uint8Array {
  return octets[0] === 0 ? octets.subarray(1) : octets;
}

function base64url(octets: Uint8Array): string {
  return toBase64(octets).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
