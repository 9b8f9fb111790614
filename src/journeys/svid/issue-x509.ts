import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import type { VerifySignature } from "@countersign/sdk/verify/x509-signature";
import { verifyX509Svid } from "@countersign/sdk/verify/x509-svid";
import { DomainError } from "../../domain/domain-error.ts";
import type { X509Authority } from "../../keys/x509-authority.ts";
import { sha256 } from "../../ledger/sha256.ts";
import { assembleCertificate, newSerial, validityOf } from "../../svid/certificate.ts";
import { isP256PublicKey } from "../../svid/key-pair.ts";
import { svidToBeSigned } from "../../svid/svid-certificate.ts";
import { record } from "../record/record.ts";
import { mayStillSign, type SvidDeps, type SvidGrounds, svidBasis } from "./svid-grounds.ts";

export interface IssueX509SvidDeps extends SvidDeps {
  /** The authority that signs now. */
  readonly x509Authority: () => X509Authority;
  /** Of our own trust domain, as it is published. */
  readonly trustBundle: () => TrustBundle;
  readonly verifySignature: VerifySignature;
}

export interface IssueX509SvidRequest extends SvidGrounds {
  /** Of the key that the holder has: a SubjectPublicKeyInfo on P-256. */
  readonly publicKey: Uint8Array;
}

/** An X.509-SVID without its private key. */
export interface SignedX509Svid {
  /** In DER: the leaf first, then the intermediates. */
  readonly certificates: readonly Uint8Array[];
  readonly expiresAtMs: number;
  /** Ids of the agent, its owner, the entry and the authority. */
  readonly restsOn: readonly string[];
}

/**
 * Issues an X.509-SVID to the agent of a RegistrationEntry: what is to be signed is recorded, then signed, and what was
 * signed is verified as a peer will, before it is given out. It never outlives the authority nor the agent.
 *
 * @throws DomainError `subject_not_active` when agent, owner or entry no longer stand, `conflict` when the authority was
 *   tainted just now, `invalid_request` for what is no key; `ledger_unavailable`; Error when what was signed does not verify
 * @see X509-SVID, sections 2 to 5
 */
export async function issueX509Svid(
  deps: IssueX509SvidDeps,
  request: IssueX509SvidRequest,
): Promise<SignedX509Svid> {
  const { entry, publicKey } = request;
  // A key that somebody else sends is a key on our curve, and nothing but that.
  if (request.node !== undefined && !isP256PublicKey(publicKey))
    throw new DomainError("invalid_request", "the public key must be a SubjectPublicKeyInfo on P-256");
  const { client, trail, conditions, restsOn } = await svidBasis(deps, request);
  const nowMs = deps.now();
  const authority = deps.x509Authority();
  const endsAtMs = Math.min(authority.notAfterMs, client.expiresAtMs ?? Number.POSITIVE_INFINITY);
  const validity = validityOf(nowMs, Math.min(nowMs + entry.x509TtlSeconds * 1000, endsAtMs));
  const serial = newSerial(deps);
  const toBeSigned = svidToBeSigned({
    issuer: authority,
    spiffeId: entry.spiffeId,
    dnsNames: entry.dnsNames,
    publicKey,
    serial,
    validity,
  });
  await record(deps, {
    type: "svid.issued",
    refusedAs: "svid.refused",
    trail,
    outcome: {
      claims_hash: Buffer.from(sha256(toBeSigned)).toString("base64url"),
      detail: {
        svid: "x509",
        entry: entry.id,
        serial: Buffer.from(serial).toString("hex"),
        authority: authority.id,
        expires_at: validity.until.toISOString(),
      },
    },
    writes: [],
    conditions: [...conditions, mayStillSign(authority.id)],
    demands: request.context.demands,
  });
  const leaf = assembleCertificate(toBeSigned, authority.sign(toBeSigned));
  const certificates = [leaf, ...authority.chain];
  await validate(deps, certificates, request, nowMs);
  return { certificates, expiresAtMs: validity.until.getTime(), restsOn: [...restsOn, authority.id] };
}

async function validate(
  { trustBundle, verifySignature }: IssueX509SvidDeps,
  certificates: readonly Uint8Array[],
  { entry }: IssueX509SvidRequest,
  nowMs: number,
): Promise<void> {
  const bundle = trustBundle();
  const bundleOf = (trustDomain: string) => (trustDomain === bundle.trustDomain ? bundle : undefined);
  const { spiffeId } = await verifyX509Svid({ bundleOf, now: () => nowMs, verifySignature }, certificates);
  if (spiffeId !== entry.spiffeId) throw new Error("the X.509-SVID is not what was to be signed");
}
