import type { Issued } from "../../domain/held-svids.ts";
import { type MatchedEntry, noneIssued } from "../../domain/svid-holder.ts";
import type { JwtSvid, X509Svid } from "../../domain/svid-source.ts";
import { newKeyPair } from "../../svid/key-pair.ts";
import { type IssueJwtSvidDeps, issueJwtSvid } from "./issue-jwt.ts";
import { type IssueX509SvidDeps, issueX509Svids } from "./issue-x509.ts";
import { isRefusal } from "./svid-grounds.ts";

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

/**
 * Gets a JWT-SVID for a workload that the server itself attested; none where it was refused.
 *
 * @param audience at least one
 * @throws DomainError as above
 */
export async function fetchJwtSvid(
  deps: IssueJwtSvidDeps,
  entry: MatchedEntry,
  audience: readonly string[],
): Promise<Issued<JwtSvid>> {
  try {
    const { restsOn, ...svid } = await issueJwtSvid(deps, { ...byTheServer, entry, audience });
    return { svid, restsOn };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return noneIssued(entry);
  }
}
