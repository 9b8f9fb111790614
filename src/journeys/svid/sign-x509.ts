import type { SpiffeId } from "@countersign/sdk/model/spiffe-id";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import type { VerifySignature } from "@countersign/sdk/verify/x509-signature";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import type { X509Authority } from "../../keys/x509-authority.ts";
import { sha256 } from "../../ledger/sha256.ts";
import type { Condition } from "../../store/write.ts";
import { assembleCertificate, newSerial, validityOf } from "../../svid/certificate.ts";
import { svidToBeSigned } from "../../svid/svid-certificate.ts";

export interface SignX509Deps {
  readonly now: () => number;
  readonly randomBytes: (size: number) => Uint8Array;
  /** The authority that signs now. */
  readonly x509Authority: () => X509Authority;
  /** Of our own trust domain, as it is published. */
  readonly trustBundle: () => TrustBundle;
  readonly verifySignature: VerifySignature;
}

/** Whose X.509-SVID, and for which key. */
export interface X509SvidSubject {
  readonly spiffeId: SpiffeId;
  readonly dnsNames: readonly string[];
  /** Of the key that the holder has: a SubjectPublicKeyInfo on P-256. */
  readonly publicKey: Uint8Array;
  readonly lifetimeSeconds: number;
  /** When it ends at the latest, in milliseconds since the epoch. */
  readonly endsAtMs?: number | undefined;
}

/** What of an X.509-SVID is recorded before it is signed. */
export interface X509SvidToRecord {
  /** SHA-256 of what is to be signed, base64url. */
  readonly claimsHash: string;
  /** Lower-case hex. */
  readonly serial: string;
  readonly detail: {
    readonly svid: "x509";
    readonly serial: string;
    readonly authority: string;
    readonly expires_at: string;
  };
  readonly expiresAt: Date;
  /** That the authority may still sign. */
  readonly condition: Condition;
}

/** An X.509-SVID without its private key. */
export interface SignedX509Svid {
  /** In DER: the leaf first, then the intermediates. */
  readonly certificates: readonly Uint8Array[];
  readonly expiresAtMs: number;
  /** Ids of all that it rests on: it is to be issued anew when one of them changes. */
  readonly restsOn: readonly string[];
}

/**
 * Makes an X.509-SVID: what is to be signed is recorded, then signed, and what was signed is verified as a peer will. It
 * never outlives the authority.
 *
 * @param record commits it
 * @throws what `record` throws; Error when what was signed does not verify
 * @see X509-SVID, sections 2 to 5
 */
export async function signX509Svid(
  deps: SignX509Deps,
  { spiffeId, dnsNames, publicKey, lifetimeSeconds, endsAtMs }: X509SvidSubject,
  record: (toRecord: X509SvidToRecord) => Promise<unknown>,
): Promise<SignedX509Svid> {
  const nowMs = deps.now();
  const authority = deps.x509Authority();
  const end = Math.min(authority.notAfterMs, endsAtMs ?? Number.POSITIVE_INFINITY);
  const validity = validityOf(nowMs, Math.min(nowMs + lifetimeSeconds * 1000, end));
  const serialBytes = newSerial(deps);
  const toBeSigned = svidToBeSigned({
    issuer: authority,
    spiffeId,
    dnsNames,
    publicKey,
    serial: serialBytes,
    validity,
  });
  const serial = Buffer.from(serialBytes).toString("hex");
  await record({
    claimsHash: Buffer.from(sha256(toBeSigned)).toString("base64url"),
    serial,
    detail: { svid: "x509", serial, authority: authority.id, expires_at: validity.until.toISOString() },
    expiresAt: validity.until,
    // One that was tainted meanwhile signs nothing more; one that another follows still may.
    condition: { on: "signing_key", id: authority.id, status: ["active", "retired"] },
  });
  const leaf = assembleCertificate(toBeSigned, authority.sign(toBeSigned));
  const certificates = [leaf, ...authority.chain];
  await validate(deps, certificates, spiffeId, nowMs);
  return { certificates, expiresAtMs: validity.until.getTime(), restsOn: [authority.id] };
}

async function validate(
  { trustBundle, verifySignature }: SignX509Deps,
  certificates: readonly Uint8Array[],
  expected: SpiffeId,
  nowMs: number,
): Promise<void> {
  const bundle = trustBundle();
  const bundleOf = (trustDomain: string) => (trustDomain === bundle.trustDomain ? bundle : undefined);
  const { spiffeId } = await verifyX509Svid({ bundleOf, now: () => nowMs, verifySignature }, certificates);
  if (spiffeId !== expected) throw new Error("the X.509-SVID is not what was to be signed");
}
