import type { Issued } from "../../domain/held-svids.ts";
import { type MatchedEntry, noneIssued } from "../../domain/svid-holder.ts";
import type { JwtSvid, X509Svid } from "../../domain/svid-source.ts";
import { newKeyPair } from "../../svid/key-pair.ts";
import { type IssueJwtSvidDeps, issueJwtSvids } from "./issue-jwt.ts";
import { type IssueX509SvidDeps, issueX509Svids } from "./issue-x509.ts";

/** The server attested the workload itself; no request stands behind it. */
const byTheServer = { node: undefined, context: {} } as const;

/**
 * Gets X.509-SVIDs, with new keys, for a workload that the server itself attested.
 *
 * @param entries of one organization, that match the workload
 * @returns one answer for each, in order; none where it was refused
 * @throws DomainError `ledger_unavailable`, or another that says that nothing can be issued now
 */
export async function fetchX509Svids(
  deps: IssueX509SvidDeps,
  entries: readonly MatchedEntry[],
): Promise<readonly Issued<X509Svid>[]> {
  const wanted = entries.map((entry) => {
    const { publicKey, privateKey } = newKeyPair();
    return { request: { ...byTheServer, entry, publicKey }, privateKey };
  });
  const outcomes = await issueX509Svids(
    deps,
    wanted.map(({ request }) => request),
  );
  return wanted.map(({ request, privateKey }) => {
    const { entry } = request;
    const outcome = outcomes.get(request);
    if (outcome === undefined || "refused" in outcome) return noneIssued(entry);
    const { certificates, expiresAtMs, restsOn } = outcome.issued;
    const { spiffeId, hint } = entry;
    return { svid: { spiffeId, certificates, privateKey, hint, expiresAtMs }, restsOn };
  });
}

/** One that a workload asks for. */
export interface WantedJwtSvid {
  readonly entry: MatchedEntry;
  /** At least one. */
  readonly audience: readonly string[];
}

/**
 * Gets JWT-SVIDs for workloads that the server itself attested.
 *
 * @param wanted by entries of one organization
 * @returns one answer for each, in order; none where it was refused
 * @throws DomainError as above
 */
export async function fetchJwtSvids(
  deps: IssueJwtSvidDeps,
  wanted: readonly WantedJwtSvid[],
): Promise<readonly Issued<JwtSvid>[]> {
  const requests = wanted.map((one) => ({ ...byTheServer, ...one }));
  const outcomes = await issueJwtSvids(deps, requests);
  return requests.map((request) => {
    const outcome = outcomes.get(request);
    if (outcome === undefined || "refused" in outcome) return noneIssued(request.entry);
    const { restsOn, spiffeId, token, hint, expiresAtMs } = outcome.issued;
    return { svid: { spiffeId, token, hint, expiresAtMs }, restsOn };
  });
}
