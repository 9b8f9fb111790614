import { record } from "../record/record.ts";
import { type SignedX509Svid, type SignX509Deps, signX509Svid } from "./sign-x509.ts";
import { type SvidDeps, type SvidGrounds, svidBasis } from "./svid-grounds.ts";

export interface IssueX509SvidDeps extends SvidDeps, SignX509Deps {
  readonly now: () => number;
  readonly randomBytes: (size: number) => Uint8Array;
}

export interface IssueX509SvidRequest extends SvidGrounds {
  /** Of the key that the holder has: a SubjectPublicKeyInfo on P-256. */
  readonly publicKey: Uint8Array;
}

/**
 * Issues an X.509-SVID to the agent of a RegistrationEntry: what is to be signed is recorded, then signed, and what was
 * signed is verified as a peer will, before it is given out. It never outlives the authority nor the agent.
 *
 * @throws DomainError `subject_not_active` when agent, owner, entry or node no longer stand, `conflict` when the authority
 *   was tainted just now; `ledger_unavailable`; Error when what was signed does not verify
 * @see X509-SVID, sections 2 to 5
 */
export async function issueX509Svid(
  deps: IssueX509SvidDeps,
  request: IssueX509SvidRequest,
): Promise<SignedX509Svid> {
  const { entry, publicKey } = request;
  const { client, trail, conditions, restsOn } = await svidBasis(deps, request);
  const { spiffeId, dnsNames, x509TtlSeconds: lifetimeSeconds } = entry;
  const subject = { spiffeId, dnsNames, publicKey, lifetimeSeconds, endsAtMs: client.expiresAtMs };
  const svid = await signX509Svid(deps, subject, ({ claimsHash, detail, condition }) =>
    record(deps, {
      type: "svid.issued",
      refusedAs: "svid.refused",
      trail,
      outcome: { claims_hash: claimsHash, detail: { ...detail, entry: entry.id } },
      writes: [],
      conditions: [...conditions, condition],
      demands: request.context.demands,
    }),
  );
  return { ...svid, restsOn: [...restsOn, ...svid.restsOn] };
}
