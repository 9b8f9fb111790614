import { attestedChecksum } from "@countersign/sdk/model/agent-configuration";
import type { Selector } from "@countersign/sdk/model/selector";
import type { TrustBundle } from "@countersign/sdk/model/trust-bundle";
import type { Logger } from "pino";
import { gathers } from "../domain/gather.ts";
import {
  createSvidHolder,
  type MatchedEntry,
  type SvidHolder,
  type SvidHolderDeps,
} from "../domain/svid-holder.ts";
import { jwtRatesOnServer } from "../domain/svid-rates.ts";
import type { AttestWorkload, SvidSource } from "../domain/svid-source.ts";
import type { fetchJwtSvids, fetchX509Svids, WantedJwtSvid } from "../journeys/svid/fetch.ts";
import type { IssueJwtSvidDeps } from "../journeys/svid/issue-jwt.ts";
import type { IssueX509SvidDeps } from "../journeys/svid/issue-x509.ts";
import { followChanges } from "../store/follow-changes.ts";
import type { Closing } from "./closing.ts";
import type { OpenLedger } from "./open-ledger.ts";
import { svidsRestOn } from "./svids-rest-on.ts";
import { type WatchedEntries, watchEntries } from "./watch-entries.ts";
import type { FederatedBundles } from "./watch-federation.ts";

export interface OpenSvidSourceDeps
  extends Omit<IssueX509SvidDeps & IssueJwtSvidDeps, "x509Authority" | "jwtAuthority" | "reloadKeys"> {
  readonly ledger: OpenLedger;
  readonly logger: Logger;
  readonly closing: Closing;
  readonly federated: FederatedBundles;
  /** What is true of a process. @throws DomainError `not_attested` */
  readonly attest: AttestWorkload;
  readonly fetchX509Svids: typeof fetchX509Svids;
  readonly fetchJwtSvids: typeof fetchJwtSvids;
}

/** A source that tells how many SVIDs it holds, and of which entries it was asked for too many. */
export interface OpenSvidSource extends SvidSource, Pick<SvidHolder, "held" | "overdrawn"> {}

/**
 * The server's own source of SVIDs, for the workloads of the machine that it runs on. What it holds is dropped when
 * something that it rests on changes: an agent, an owner, an entry, an authority.
 */
export async function openSvidSource(deps: OpenSvidSourceDeps): Promise<OpenSvidSource> {
  const { ledger, logger, closing, federated, attest } = deps;
  const { db, keys, organization, installation } = ledger;
  const { trustDomain } = installation;
  const onReloadFailed = (err: unknown) =>
    logger.error({ err }, "the registration entries could not be read again");
  const onChanged = () => holder.tell();
  const entries = await watchEntries({ db, trustDomain, onChanged, onReloadFailed }, organization, null);
  const issuing = {
    ...deps,
    x509Authority: () => keys.x509Authorities().active,
    jwtAuthority: () => keys.jwtAuthorities().active,
    reloadKeys: keys.reload,
  };
  const holder = createSvidHolder<MatchedEntry>({
    now: deps.now,
    match: (workload) => matchedBy(entries, workload),
    issueX509: (wanted) => deps.fetchX509Svids(issuing, wanted),
    issueJwt: issuesTogether(deps, issuing),
    jwtRates: jwtRatesOnServer,
    isPinned: (audience) => audience.includes(installation.issuer),
    wakeAt: (atMs, wake) => {
      const timer = setTimeout(wake, atMs - deps.now()).unref();
      return () => clearTimeout(timer);
    },
  });
  closing.add(async () => holder.close());
  closing.closes(entries);
  closing.add(await dropsWhatEnded(ledger, holder));
  federated.onChange(holder.tell);
  return {
    ...holder,
    trustDomain,
    wantedKinds: entries.wantedKinds,
    attest: (peer) => attest(peer, entries.wantedKinds()),
    bundles: (workload) => bundlesFor(deps, entries, workload),
  };
}

/** Drops what rests on something that changed. @returns a function that ends it */
async function dropsWhatEnded({ db, keys }: OpenLedger, holder: SvidHolder): Promise<() => Promise<void>> {
  const stopFollowing = await followChanges(db, {
    // What rests on a key is dropped once the ring has the one that follows: see below.
    changed: (changes) =>
      holder.drop(new Set(changes.filter(({ on }) => svidsRestOn.has(on)).map(({ id }) => id))),
    lost: () => holder.doubt(),
  });
  const stopFollowingKeys = keys.onChange(() => {
    holder.drop(new Set([...keys.x509Authorities().taintedIds, ...keys.jwtAuthorities().taintedIds]));
    holder.tell();
  });
  return async () => {
    stopFollowingKeys();
    await stopFollowing();
  };
}

/**
 * Those that one caller asks for of one entry are issued together: of one entry alone, since who is shown what was recorded
 * of one learns for whom the others were; of one caller, since nobody waits for what another asks for.
 */
function issuesTogether(
  { fetchJwtSvids }: Pick<OpenSvidSourceDeps, "fetchJwtSvids">,
  issuing: IssueJwtSvidDeps,
): SvidHolderDeps<MatchedEntry>["issueJwt"] {
  const issue = gathers(
    ({ entry, caller }: WantedJwtSvid & { readonly caller: string }) => `${entry.id} ${caller}`,
    (wanted) => fetchJwtSvids(issuing, wanted),
  );
  return (entry, audience, caller) => issue({ entry, audience, caller });
}

/** Our own first; none for who has no identity here. */
async function bundlesFor(
  { ledger, federated }: Pick<OpenSvidSourceDeps, "ledger" | "federated">,
  entries: WatchedEntries,
  workload: readonly Selector[],
): Promise<readonly TrustBundle[]> {
  const matched = await entries.matchNow(workload);
  if (matched.length === 0) return [];
  const { keys } = ledger;
  return [keys.trustBundle(), ...federated.bundlesOf(matched.flatMap((entry) => entry.federatesWith))];
}

/** The entries of a workload, with what else of it decides whether it may have their SVIDs. */
async function matchedBy(
  entries: WatchedEntries,
  workload: readonly Selector[],
): Promise<readonly MatchedEntry[]> {
  const checksum = attestedChecksum(workload);
  return (await entries.matchNow(workload)).map((entry) => ({ ...entry, checksum }));
}
