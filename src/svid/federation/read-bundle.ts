import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { canonicalJson, type JsonValue } from "@countersign/sdk/model/canonical-json";
import type { TrustDomain } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { readCertificate } from "@countersign/sdk/verify/certificate";
import { parseTrustBundle } from "@countersign/sdk/verify/trust-bundle";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import { BundleFetchError } from "./bundle-fetch-error.ts";

/** A foreign bundle, and the document that it was read from. */
export interface ReadBundle {
  /** Canonical JSON: the same document is the same text. */
  readonly text: string;
  readonly bundle: TrustBundle;
}

/** Reads a bundle from the octets of its document. @throws BundleFetchError when it is none */
export function readBundle(trustDomain: TrustDomain, octets: Uint8Array): ReadBundle {
  if (!isUtf8(octets)) throw new BundleFetchError("its answer is not UTF-8");
  try {
    return readBundleDocument(trustDomain, JSON.parse(Buffer.from(octets).toString("utf8")));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new BundleFetchError("its answer is not JSON", { cause: error });
  }
}

/** The same of a document that was parsed as JSON already. @throws BundleFetchError when it is none */
export function readBundleDocument(trustDomain: TrustDomain, document: unknown): ReadBundle {
  try {
    const bundle = parseTrustBundle(trustDomain, document);
    demandOwn(bundle);
    // For what is no JSON value it throws.
    return { text: canonicalJson(document as JsonValue), bundle };
  } catch (error) {
    // Text that has no canonical form, or is nested beyond the stack.
    const isMalformed =
      error instanceof VerificationError || error instanceof TypeError || error instanceof RangeError;
    if (!isMalformed) throw error;
    throw new BundleFetchError("that is no trust bundle", { cause: error });
  }
}

/** An authority that bears a name bears that of its own trust domain. @see X509-SVID, section 3.2 */
function demandOwn({ trustDomain, x509Authorities }: TrustBundle): void {
  const names = x509Authorities.flatMap((der) => readCertificate(der).uris);
  if (names.some((name) => name !== `spiffe://${trustDomain}`))
    throw new BundleFetchError("one of its authorities bears the name of another trust domain");
}

/** SHA-256 of a bundle's canonical document, base64url: what the ledger tells of it. */
export function bundleHash(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

/**
 * When the last of a bundle's X.509 authorities ends, in milliseconds since the epoch; undefined where it has none. From
 * then on none of its keys is believed: whoever could not be asked for so long may have given them up.
 */
export function endOfBundle({ x509Authorities }: TrustBundle): number | undefined {
  if (x509Authorities.length === 0) return undefined;
  return Math.max(...x509Authorities.map((der) => readCertificate(der).notAfterMs));
}
