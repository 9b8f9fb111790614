import type { AgentChecksum } from "@countersign/sdk/model/agent-configuration";
import type { ErrorCode } from "@countersign/sdk/model/error-codes";
import type { AgentId, EntryId, OrganizationId } from "@countersign/sdk/model/ids";
import type { Selector } from "@countersign/sdk/model/selector";
import type { SpiffeId, TrustDomain } from "@countersign/sdk/model/spiffe-id";
import { approvalId } from "./agent-checksum.ts";
import { createHeldSvids, type Issued } from "./held-svids.ts";
import { boundsJwtSvids, callerOf, type JwtSvidBounds, type JwtSvidRates } from "./svid-rates.ts";
import type { JwtSvid, JwtSvidRequest, SvidSource, X509Svid } from "./svid-source.ts";

/** What of a RegistrationEntry its SVIDs are made of. */
export interface SvidEntry {
  readonly id: EntryId;
  readonly organization: OrganizationId;
  readonly agent: AgentId;
  readonly spiffeId: SpiffeId;
  readonly x509TtlSeconds: number;
  readonly jwtTtlSeconds: number;
  readonly dnsNames: readonly string[];
  readonly hint: string | undefined;
  /** The trust domains, beside our own, whose SVIDs its workload shall be able to verify. */
  readonly federatesWith: readonly TrustDomain[];
}

/** An entry that was matched for a workload. */
export interface MatchedEntry extends SvidEntry {
  /** Of the workload's configuration, as attestation found it; undefined where it found none. */
  readonly checksum: AgentChecksum | undefined;
}

/** Codes of the errors that say that somebody is not to have an SVID; others, that it can't be issued now. */
export const svidRefusals: ReadonlySet<string> = new Set<ErrorCode>([
  "subject_not_active",
  "not_attested",
  "not_found",
]);

/** What was refused is none, until something of it changes. */
export function noneIssued({ id, agent, checksum }: MatchedEntry): Issued<never> {
  const approvals = checksum === undefined ? [] : [approvalId(agent, checksum)];
  return { svid: undefined, restsOn: [agent, id, ...approvals] };
}

export interface SvidHolderDeps<Entry extends MatchedEntry> {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The entries whose selectors are all among these. */
  readonly match: (workload: readonly Selector[]) => Promise<readonly Entry[]>;
  /** One answer for each entry, in order; none for one that can't be issued now. @throws DomainError when nothing can */
  readonly issueX509: (entries: readonly Entry[]) => Promise<readonly (Issued<X509Svid> | undefined)[]>;
  /** Calls back at that time, in milliseconds since the epoch. @returns a function that calls it off */
  readonly wakeAt: (atMs: number, wake: () => void) => () => void;
  /** @param audience sorted, each once @param caller see callerOf */
  readonly issueJwt: (entry: Entry, audience: readonly string[], caller: string) => Promise<Issued<JwtSvid>>;
  /** What callers may have newly signed. */
  readonly jwtRates: JwtSvidRates;
  /** Whether one for this audience is bound to the key of who presents it first. */
  readonly isPinned: (audience: readonly string[]) => boolean;
}

export interface SvidHolder
  extends Pick<SvidSource, "x509Svids" | "jwtSvids" | "onChange">,
    Pick<JwtSvidBounds, "overdrawn"> {
  /** Drops what rests on one of these, and tells the listeners if there was any. */
  readonly drop: (ids: ReadonlySet<string>) => void;
  /** News of what changed may have been lost: has whatever is held issued anew for who asks, and tells the listeners. */
  readonly doubt: () => void;
  /** Tells the listeners that answers may have changed. */
  readonly tell: () => void;
  /** How many SVIDs are held that have not ended. */
  readonly held: () => { readonly x509: number; readonly jwt: number };
  /** The timer for the next renewal goes with it. */
  readonly close: () => void;
}

/** Renewals that fall due within this time are woken for once. */
const leastWakeMs = 1_000;

/**
 * Holds the SVIDs that were issued, so that each is issued once and given to all who match until half of its life is
 * over. It renews for who asks: those that nobody asks for any more lapse. While nothing can be issued, what is held is
 * given out until it ends. What a caller may have newly signed of an entry's JWT-SVIDs is bounded.
 */
export function createSvidHolder<Entry extends MatchedEntry>(deps: SvidHolderDeps<Entry>): SvidHolder {
  const { now } = deps;
  const x509 = createHeldSvids<Entry, X509Svid>({ now, onKept });
  // Nobody waits for JWT-SVIDs: they are asked for one by one.
  const jwt = createHeldSvids<Entry, JwtSvid>({ now, onKept: () => undefined });
  const listeners = new Set<() => void>();
  const { admit, overdrawn } = boundsJwtSvids(deps.jwtRates, now);
  let callOff: () => void = () => undefined;
  /** When the first of what is held is due; it may be earlier than that, where that one was dropped. */
  let dueMs = Number.POSITIVE_INFINITY;
  let wakesForMs = Number.POSITIVE_INFINITY;

  function tell(): void {
    for (const listener of listeners) listener();
  }

  function onKept(firstDueMs: number): void {
    if (firstDueMs <= now()) tell();
    else schedule(firstDueMs);
  }

  /** Wakes the listeners when the first of what is held is due, so that they ask for it anew. */
  function schedule(nextMs: number): void {
    dueMs = Math.min(dueMs, nextMs);
    if (listeners.size === 0 || dueMs >= wakesForMs) return;
    callOff();
    wakesForMs = dueMs;
    callOff = deps.wakeAt(Math.max(dueMs, now() + leastWakeMs), () => {
      wakesForMs = Number.POSITIVE_INFINITY;
      dueMs = x509.sweep();
      tell();
      schedule(dueMs);
    });
  }

  async function jwtSvidOf(
    entry: Entry,
    { audience, caller }: { readonly audience: readonly string[]; readonly caller: string },
  ): Promise<JwtSvid | undefined> {
    const issue = async () => {
      admit(entry.id, caller);
      return deps.issueJwt(entry, audience, caller);
    };
    if (deps.isPinned(audience)) return (await issue()).svid;
    const key = JSON.stringify([keyOf(entry), audience]);
    await jwt.refresh(new Map([[key, entry]]), async () => [await issue()]);
    return jwt.find(key);
  }

  return {
    async x509Svids(workload) {
      const entries = await deps.match(workload);
      await x509.refresh(new Map(entries.map((entry) => [keyOf(entry), entry])), deps.issueX509);
      return entries.flatMap((entry) => x509.find(keyOf(entry)) ?? []);
    },
    async jwtSvids(workload, { audience, spiffeId, uid }: JwtSvidRequest) {
      const wanted = (await deps.match(workload)).filter(
        (one) => (spiffeId ?? one.spiffeId) === one.spiffeId,
      );
      const asked = { audience: [...new Set(audience)].sort(), caller: callerOf(uid, workload) };
      const svids = await Promise.all(oneOfEach(wanted).map((entry) => jwtSvidOf(entry, asked)));
      return svids.filter((svid) => svid !== undefined);
    },
    onChange(listener) {
      listeners.add(listener);
      schedule(dueMs);
      return () => void listeners.delete(listener);
    },
    drop(ids) {
      if ([x509.drop(ids), jwt.drop(ids)].includes(true)) tell();
    },
    doubt() {
      x509.doubt();
      jwt.doubt();
      tell();
    },
    tell,
    overdrawn,
    held: () => ({ x509: x509.count(), jwt: jwt.count() }),
    close: () => callOff(),
  };
}

/** One entry of each identity. */
function oneOfEach<Entry extends MatchedEntry>(entries: readonly Entry[]): readonly Entry[] {
  return [...new Map(entries.map((entry) => [entry.spiffeId, entry])).values()];
}

/** What one workload of an entry may be given that was issued to another: nothing, unless both have one configuration. */
function keyOf({ id, checksum }: MatchedEntry): string {
  return checksum === undefined ? id : `${id} ${checksum}`;
}
