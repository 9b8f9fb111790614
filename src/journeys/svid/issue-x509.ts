import { issueTogether, type SvidOutcome } from "./issue-together.ts";
import { prepareX509Svid, type SignedX509, type SignX509SvidDeps } from "./sign-x509.ts";
import type { SvidBasis, SvidDeps, SvidGrounds } from "./svid-grounds.ts";

export interface IssueX509SvidDeps extends SvidDeps, SignX509SvidDeps {}

export interface IssueX509SvidRequest extends SvidGrounds {
  /** Of the key that the holder has: a SubjectPublicKeyInfo on P-256. */
  readonly publicKey: Uint8Array;
}

/** What became of one of several X.509-SVIDs; what was issued is without its private key. */
export type X509SvidOutcome = SvidOutcome<SignedX509>;

/**
 * Issues X.509-SVIDs to the agents of RegistrationEntries: what is to be signed is recorded, then signed, and what was
 * signed is verified as a peer will, before it is given out. None outlives the authority nor its agent.
 *
 * @param requests of one organization, one parent and one request to the server
 * @returns one outcome for each
 * @throws as issueTogether does
 * @see X509-SVID, sections 2 to 5
 */
export async function issueX509Svids(
  deps: IssueX509SvidDeps,
  requests: readonly IssueX509SvidRequest[],
): Promise<ReadonlyMap<IssueX509SvidRequest, X509SvidOutcome>> {
  const prepare = ({ entry, publicKey }: IssueX509SvidRequest, { client }: SvidBasis, nowMs: number) => {
    const { spiffeId, dnsNames, x509TtlSeconds } = entry;
    const lifeEndsAtMs = nowMs + x509TtlSeconds * 1000;
    const endsAtMs = Math.min(lifeEndsAtMs, client.expiresAtMs ?? Number.POSITIVE_INFINITY);
    return prepareX509Svid(deps, { spiffeId, dnsNames, publicKey, endsAtMs }, nowMs);
  };
  return issueTogether({ ...deps, prepare }, requests);
}
