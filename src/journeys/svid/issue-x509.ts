import { DomainError } from "../../domain/domain-error.ts";
import { isP256PublicKey } from "../../svid/key-pair.ts";
import { record } from "../record/record.ts";
import { prepareX509Svid, type SignX509SvidDeps } from "./sign-x509.ts";
import { keptSvid, type SvidDeps, type SvidGrounds, svidBasis } from "./svid-grounds.ts";

export interface IssueX509SvidDeps extends SvidDeps, SignX509SvidDeps {}

export interface IssueX509SvidRequest extends SvidGrounds {
  /** Of the key that the holder has: a SubjectPublicKeyInfo on P-256. */
  readonly publicKey: Uint8Array;
}

/** An X.509-SVID without its private key. */
export interface SignedX509Svid {
  /** In DER: the leaf first, then the intermediates. */
  readonly certificates: readonly Uint8Array[];
  readonly expiresAtMs: number;
  /** Ids of the agent, its owner, the entry, the approval of its configuration and the authority. */
  readonly restsOn: readonly string[];
}

/**
 * Issues an X.509-SVID to the agent of a RegistrationEntry: what is to be signed is recorded, then signed, and what was
 * signed is verified as a peer will, before it is given out. It never outlives the authority nor the agent.
 *
 * @throws DomainError `subject_not_active` when agent, owner or entry no longer stand, `not_attested` for a configuration
 *   that is not approved, `conflict` when the authority was tainted just now, `invalid_request` for what is no key;
 *   `ledger_unavailable`; Error when what was signed does not verify
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
  const lifeEndsAtMs = nowMs + entry.x509TtlSeconds * 1000;
  const { spiffeId, dnsNames } = entry;
  const endsAtMs = Math.min(lifeEndsAtMs, client.expiresAtMs ?? Number.POSITIVE_INFINITY);
  const prepared = prepareX509Svid(deps, { spiffeId, dnsNames, publicKey, endsAtMs }, nowMs);
  await record(deps, {
    type: "svid.issued",
    refusedAs: "svid.refused",
    trail,
    outcome: {
      claims_hash: prepared.claimsHash,
      detail: {
        ...prepared.detail,
        entry: entry.id,
        ...(entry.checksum !== undefined && { checksum: entry.checksum }),
      },
    },
    writes: [keptSvid(request, prepared.kept)],
    conditions: [...conditions, prepared.condition],
    demands: request.context.demands,
  });
  const { authority, ...signed } = await prepared.sign();
  return { ...signed, restsOn: [...restsOn, authority] };
}
