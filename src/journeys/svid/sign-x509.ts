import type { SpiffeId } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import { bundleOfOne } from "@countersign/sdk/verify/trust-bundle";
import { VerificationError } from "@countersign/sdk/verify/verification-error";
import type { VerifySignature } from "@countersign/sdk/verify/x509-signature";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import type { X509Authority } from "../../keys/x509-authority.ts";
import { digestOf } from "../../ledger/sha256.ts";
import { assembleCertificate, newSerial, validityOf } from "../../svid/certificate.ts";
import { svidToBeSigned } from "../../svid/svid-certificate.ts";
import { type ByAnotherDeps, demandVerified, mayStillSign } from "./authority.ts";
import type { PreparedSvid } from "./issue-together.ts";

export interface SignX509SvidDeps extends ByAnotherDeps {
  /** The authority that signs now. */
  readonly x509Authority: () => X509Authority;
  /** Of our own trust domain, as it is published. */
  readonly trustBundle: () => TrustBundle;
  readonly verifySignature: VerifySignature;
  readonly randomBytes: (size: number) => Uint8Array;
}

export interface X509SvidRequest {
  readonly spiffeId: SpiffeId;
  readonly dnsNames: readonly string[];
  /** Of the key that the holder has: a SubjectPublicKeyInfo on P-256. */
  readonly publicKey: Uint8Array;
  /** It ends then, or with its authority. */
  readonly endsAtMs: number;
}

/** An X.509-SVID that can be signed once it is recorded. */
export interface PreparedX509Svid extends PreparedSvid<SignedX509> {
  readonly detail: PreparedSvid<SignedX509>["detail"] & { readonly serial: string };
}

/** An X.509-SVID without its private key. */
export interface SignedX509 {
  /** In DER: the leaf first, then the intermediates. */
  readonly certificates: readonly Uint8Array[];
  readonly expiresAtMs: number;
  /** Id of the authority. */
  readonly authority: string;
}

/** Builds what is to be recorded, and then signed, of an X.509-SVID. @see X509-SVID, sections 2 to 5 */
export function prepareX509Svid(
  deps: SignX509SvidDeps,
  { spiffeId, dnsNames, publicKey, endsAtMs }: X509SvidRequest,
  nowMs: number,
): PreparedX509Svid {
  const authority = deps.x509Authority();
  const validity = validityOf(nowMs, Math.min(endsAtMs, authority.notAfterMs));
  const serial = newSerial(deps);
  const parts = { issuer: authority, spiffeId, dnsNames, publicKey, serial, validity };
  const toBeSigned = svidToBeSigned(parts);
  const claimsHash = digestOf(toBeSigned);
  const id = Buffer.from(serial).toString("hex");
  return {
    claimsHash,
    kept: { id, claimsHash, expiresAt: validity.until },
    detail: {
      svid: "x509",
      serial: id,
      authority: authority.id,
      expires_at: validity.until.toISOString(),
    },
    condition: mayStillSign(authority.id),
    async sign() {
      const leaf = assembleCertificate(toBeSigned, authority.sign(toBeSigned));
      const certificates = [leaf, ...authority.chain];
      const bundleOf = bundleOfOne(deps.trustBundle());
      const verifier = { bundleOf, now: () => nowMs, verifySignature: deps.verifySignature };
      await demandVerified(verifyX509Svid(verifier, certificates), spiffeId);
      return { certificates, expiresAtMs: validity.until.getTime(), authority: authority.id };
    },
  };
}

interface VerifyOwnDeps extends Pick<SignX509SvidDeps, "trustBundle" | "verifySignature"> {
  readonly now: () => number;
}

/** Whether one that was issued verifies by our bundle as it is now. */
export async function verifiesByOurBundle(
  { now, trustBundle, verifySignature }: VerifyOwnDeps,
  certificates: readonly Uint8Array[],
): Promise<boolean> {
  try {
    await verifyX509Svid({ bundleOf: bundleOfOne(trustBundle()), now, verifySignature }, certificates);
    return true;
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    return false;
  }
}
